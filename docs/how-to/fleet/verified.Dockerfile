# The build fails if the Python of the image accepts less than TLS 1.2, or if that could not be tried.
FROM registry.example.com/app:1 AS app

FROM app AS verified
ADD tlsfloor-verify.tar.gz /tmp/
RUN rm -f /tmp/tlsfloor-verify.json && python3 /tmp/tlsfloor-verify verify --floor 1.2 --json --output /tmp/tlsfloor-verify.json "$(command -v python3)"

# Because of the line COPY, Docker has to build the stage above. The image gets the report, and no more.
FROM app
COPY --from=verified /tmp/tlsfloor-verify.json /opt/tlsfloor-verify.json
