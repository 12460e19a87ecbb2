# docker build -t sluice . && docker run -d -p 8080:8080 -e BUCKET_NAME=… -v spool:/var/lib/sluice sluice
# The spool under /var/lib/sluice holds what was accepted and not yet uploaded: give it a volume.
# The admin port (8081) stays on the container's loopback: docker exec … sluice status
ARG BASE=debian:12-slim

FROM ${BASE} AS build
WORKDIR /src
COPY tools/install-dependencies tools/
RUN tools/install-dependencies build
COPY . .
RUN rm -rf build && tools/build release sluice sluice-load && \
    strip build/release/sluice build/release/sluice-load

FROM ${BASE}
COPY tools/install-dependencies /tmp/
RUN /tmp/install-dependencies runtime && rm -rf /tmp/install-dependencies /var/lib/apt/lists/* && \
    useradd --system --uid 8080 --home-dir /var/lib/sluice --shell /usr/sbin/nologin sluice && \
    install -d -o sluice -g sluice -m 0750 /var/lib/sluice
COPY --from=build /src/build/release/sluice /src/build/release/sluice-load /usr/local/bin/
USER sluice
WORKDIR /var/lib/sluice
# PREFIX is said here so that a start with neither BUCKET_NAME nor OUTPUT_DIR is refused: objects in
# a directory of a container are seldom what was meant.
ENV SPOOL_DIR=/var/lib/sluice/spool PREFIX=xml-events/
# xml, logs, rpc: those that PROTOCOLS names.
EXPOSE 8080 9000 7000
VOLUME /var/lib/sluice
STOPSIGNAL SIGTERM
# The admin server's port, which is there whatever PROTOCOLS says: it is opened last.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${ADMIN_PORT:-8081}"]
ENTRYPOINT ["sluice"]
CMD ["run"]
