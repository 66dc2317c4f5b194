"""The assistant as a server of the Model Context Protocol, for the models of other programs."""
