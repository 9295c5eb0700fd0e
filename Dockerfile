# Builds the one binary that Croupier is, and an image that holds nothing else.
FROM oven/bun:1.4.5 AS build
WORKDIR /build
# The packages first: they are fetched again only when the lockfile changes.
COPY package.json bun.lock bunfig.toml tsconfig.json ./
RUN bun install --frozen-lockfile
COPY src src
RUN bun run build

# glibc and the libraries that a C++ program expects; no shell, and a user that is not root.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/dist/croupier /croupier
ENV HOST=0.0.0.0 CROUPIER_ENV=production
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["/croupier", "health"]
ENTRYPOINT ["/croupier"]
CMD ["serve"]
