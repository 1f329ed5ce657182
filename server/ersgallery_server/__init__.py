"""The gallery service: galleries, storage, embedding, gRPC and the command line."""
