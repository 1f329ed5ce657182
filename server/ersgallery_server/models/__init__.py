"""Model packages: what they are, where their files come from, and the recognizability profiles that belong to them."""
