"""Every source from which libpq takes its bounds, with one driver: what is reached, and how."""

import os

os.environ["OPENSSL_CONF"] = os.path.join(os.path.dirname(__file__), "lenient.cnf")

VARIABLES = {"min": "PGSSLMINPROTOCOLVERSION", "max": "PGSSLMAXPROTOCOLVERSION"}


def prepare(job):
    os.environ["PGSERVICEFILE"] = job["service file"]
    if job["driver"] == "psycopg2":
        import psycopg2 as driver
    else:
        if job["driver"] == "python":
            import wheel_libpq

            wheel_libpq.use()
        import psycopg as driver

        assert driver.pq.__impl__ == job["driver"]
    return driver.connect


def main(job, connect):
    told = {}
    for source in ("argument", "string", "URI", "environment", "service", "PGSERVICE"):
        for bound, version, peer in job["cases"]:
            port = job["ports"][peer]
            try:
                attempt(job, connect, source, bound, version, port)
                told[f"{source} {bound}={version}: {peer}"] = "reached"
            except Exception as error:
                told[f"{source} {bound}={version}: {peer}"] = str(error)
    return told


def attempt(job, connect, source, bound, version, port):
    option = f"ssl_{bound}_protocol_version"
    said = {"host": "localhost", "port": port, "user": "o'neill \\", "dbname": "db"}
    said.update(sslmode="verify-full", sslrootcert=job["ca"])
    dsn, changed = "", {}
    if source == "argument":
        said[option] = version
    elif source == "string":
        dsn = f"{option} = '{version}' application_name='a b'"
    elif source == "URI":
        dsn = f"postgresql://?{option}={version}"
    elif source == "environment":
        changed = {VARIABLES[bound]: version}
    else:
        with open(job["service file"], "w") as file:
            file.write(f"[old]\n{option}={version}\n")
        if source == "service":
            said["service"] = "old"
        else:
            changed = {"PGSERVICE": "old"}
    os.environ.update(changed)
    try:
        connect(dsn, **said).close()
    finally:
        for name in changed:
            del os.environ[name]
