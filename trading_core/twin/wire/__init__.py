"""The broker's wire protocol, spoken over a venue: requests in, replies out, no sockets.

``gateway.Gateway`` is the door; the other modules hold one family of requests each.
"""
