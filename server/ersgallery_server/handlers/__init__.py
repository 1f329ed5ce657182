"""The RPCs, free of any transport: check the request, call the core, translate, answer."""
