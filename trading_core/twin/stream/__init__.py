"""The broker's WebSocket: registrations, prices as they are made, and notices of orders."""
