"""The web page: a session beside its picture. Needs the extra `web` (Gradio)."""
