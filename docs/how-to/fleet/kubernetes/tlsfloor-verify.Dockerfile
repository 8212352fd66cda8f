# The image that brings tlsfloor to the pods of job.yaml and daemonset.yaml.
FROM docker.io/library/busybox:1
ADD tlsfloor-verify.tar.gz /opt/
