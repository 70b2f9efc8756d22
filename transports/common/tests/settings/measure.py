#!/usr/bin/env python3
"""Measures the columns `java` and `librdkafka` of forms.tsv again, as README.md describes. The other columns are kept."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
KAFKA = "4.4.0"
CONFLUENT_KAFKA = "2.16.1"
COLUMNS = ["setting", "value", "with", "java", "librdkafka", "this_crate", "why"]


def run(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, text=True, stdout=subprocess.PIPE, **options).stdout


def java(work):
    """Returns the command that runs Java's client, which Maven downloads."""
    (work / "pom.xml").write_text(f"""<project>
  <modelVersion>4.0.0</modelVersion><groupId>forms</groupId><artifactId>forms</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>org.apache.kafka</groupId><artifactId>kafka-clients</artifactId><version>{KAFKA}</version>
  </dependency></dependencies>
</project>""")
    run("mvn", "-q", "-B", "dependency:build-classpath", "-Dmdep.outputFile=classpath", cwd=work)
    return ["java", "-cp", (work / "classpath").read_text().strip(), HERE / "JavaForms.java"]


def librdkafka(work):
    """Returns the command that runs librdkafka, which pip downloads."""
    run(sys.executable, "-m", "venv", work / "venv")
    run(work / "venv/bin/pip", "install", "-q", f"confluent-kafka=={CONFLUENT_KAFKA}")
    return [work / "venv/bin/python", HERE / "librdkafka_forms.py"]


def certificates(work):
    """Returns the values of the placeholders in braces: an authority, a certificate and its key, as files and as texts."""
    for name in ("ca", "certificate"):
        key = "key" if name == "certificate" else "ca-key"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", work / f"{key}.pem", "-out", work / f"{name}.pem", stderr=subprocess.DEVNULL)
    run("openssl", "pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:password",
        "-in", work / "key.pem", "-out", work / "encrypted.pem")
    (work / "directory").mkdir()
    (work / "directory/ca.pem").write_bytes((work / "ca.pem").read_bytes())
    values = {f"{{{name}.pem}}": str(work / f"{name}.pem") for name in ("ca", "certificate", "key", "encrypted")}
    values |= {f"{{{name}}}": (work / f"{name}.pem").read_text() for name in ("ca", "certificate", "key")}
    return values | {"{directory}": str(work / "directory"), "{missing}": str(work / "missing.pem")}


def measure(command, rows, values):
    def insert_values(text):
        return re.sub(r"\{[a-z.]+\}", lambda found: values[found[0]], text)

    def insert_placeholders(text):
        for name, value in values.items():
            text = text.replace(value, name)
        return text

    lines = []
    for row in rows:
        fields = [row["setting"]]
        for name, value in [each.split("=", 1) for each in row["with"].split()] + [
            (row["setting"], json.loads(row["value"]))
        ]:
            fields += [name, insert_values(value)]
        lines.append("\x1f".join(fields).replace("\n", "\x1e") + "\n")
    answers = run(*command, input="".join(lines)).replace("\x1e", "\n").removesuffix("\x1d\n").split("\x1d\n")
    version, *answers = answers
    assert len(answers) == len(rows), (len(answers), len(rows))
    return version, [
        answer if answer in ("refused", "unknown") else json.dumps(insert_placeholders(answer[1:]), ensure_ascii=False)
        for answer in answers
    ]


def main():
    table = HERE / "forms.tsv"
    lines = table.read_text().splitlines()
    rows = [dict(zip(COLUMNS, line.split("\t"), strict=True)) for line in lines if line and not line.startswith("#")]
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        values = certificates(work)
        versions = []
        for column, command in (("java", java(work)), ("librdkafka", librdkafka(work))):
            version, answers = measure(command, rows, values)
            versions.append(version)
            for row, answer in zip(rows, answers):
                row[column] = answer
    header = [f"# Measured with {' and '.join(versions)}, as README.md describes.", "# " + "\t".join(COLUMNS)]
    body = ["\t".join(row[column] for column in COLUMNS) for row in rows]
    table.write_text("\n".join(header + body) + "\n")


if __name__ == "__main__":
    main()
