"""Conversations with a person about pictures: sessions, tools, and the faces that show them."""
