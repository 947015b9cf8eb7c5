# The server alone: no shell, no package manager, a user that is not root. `scripts/image-root` decides what is in it,
# and tests/image/check.py runs the program from just that.

FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /build
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --locked --release --bin modelward \
    && scripts/image-root target/release/modelward /image

FROM scratch
LABEL org.opencontainers.image.title="Modelward" \
      org.opencontainers.image.description="A gRPC control plane for LLM configuration" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/ /
# Inside a container the loopback reaches nobody. TLS is for the settings, or for what is in front.
ENV PATH=/usr/bin \
    MODELWARD_DATA_DIR=/var/lib/modelward \
    MODELWARD_LISTEN=0.0.0.0:50051 \
    MODELWARD_OPS_LISTEN=0.0.0.0:9090
USER 65532:65532
VOLUME /var/lib/modelward
EXPOSE 50051 9090
# The listener for operators: it is plain, whatever certificate the API has.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["/usr/bin/modelward", "health", "--server=http://127.0.0.1:9090"]
ENTRYPOINT ["/usr/bin/modelward"]
CMD ["serve"]
