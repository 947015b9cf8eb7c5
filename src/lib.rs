//! Modelward: a gRPC control plane for LLM configuration.
