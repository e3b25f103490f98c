"""The dashboard's entry: ``ouroboros dashboard``, or ``streamlit run dashboards/app.py``."""

from __future__ import annotations

import sys
from pathlib import Path

# Streamlit puts the folder of this file on the path, and the packages are one above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import streamlit as st

from dashboards import entry

st.set_page_config(
    page_title="Ouroboros", page_icon=str(Path(__file__).with_name("icon.png")), layout="wide"
)
entry.run()
