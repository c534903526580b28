"""The gateway side by side with its peers, under the same load."""
