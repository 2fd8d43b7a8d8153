# One image for every duty: `run` by default, any other vtoc-bots command as arguments.
FROM python:3.12-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/vtoc
WORKDIR /src
# The dependencies change seldom: they are a layer of their own. Those of the extras mcp and chatkit are among them.
COPY requirements-image.txt .
RUN /opt/vtoc/bin/pip install --require-hashes -r requirements-image.txt
COPY pyproject.toml README.md LICENSE ./
COPY vtoc_bots vtoc_bots
COPY playbooks playbooks
COPY config config
RUN /opt/vtoc/bin/pip install --no-deps .

FROM python:3.12-slim
RUN useradd --uid 10001 --create-home --home-dir /data vtoc
COPY --from=build /opt/vtoc /opt/vtoc
WORKDIR /app
COPY config config
COPY deploy/entrypoint /usr/local/bin/vtoc-entrypoint
# In a container loopback is nobody's: publish the port as you mean it.
ENV PATH=/opt/vtoc/bin:$PATH HOME=/data PYTHONUNBUFFERED=1 VTOC_API_HOST=0.0.0.0 API_PORT=8080
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["vtoc-entrypoint"]
CMD ["run", "--data", "/data"]
