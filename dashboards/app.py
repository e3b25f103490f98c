"""The dashboard's entry: ``streamlit run dashboards/app.py``."""

from __future__ import annotations

import streamlit as st

st.set_page_config(page_title="Ouroboros", layout="wide")
st.navigation([st.Page("views/today.py", title="Today", default=True)]).run()
