"""Compares signatures in the query with those of Amazon's test suite for AWS Signature Version 4.

The suite (https://github.com/awslabs/aws-c-auth, v0.9.0, Apache-2.0) is in the published package of the crate aws-sigv4, which is the one
that the crate aws-msk-iam-sasl-signer signs with.
"""

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path


# Vectors of what the function does not do with the settings that it is called with. None of it is in requests for MSK.
OTHERS = {
    "get-space-normalized",  # By default a path is encoded once more before it is signed, and the suite expects it to be decoded first.
    "get-space-unnormalized",  # A URL cannot have a space.
    "post-sts-header-after",  # The session token is added after signing: MSK, as most services, has it signed.
}


def request_of(text):
    """Returns method, path, headers and body of a request. A header's value can continue on the next lines, after blank space."""
    head, _, body = text.partition("\n\n")
    first, *lines = head.splitlines()
    method, _, rest = first.partition(" ")
    headers = []
    for line in lines:
        if line[0] in " \t":
            headers[-1] += " " + line.strip()
        else:
            headers.append(line)
    return method, rest.removesuffix(" HTTP/1.1"), headers, body


def line_of(vector):
    """Returns a vector as a line for the program."""
    context = json.loads((vector / "context.json").read_text())
    credentials = context["credentials"]
    method, path, headers, body = request_of((vector / "request.txt").read_text())
    host = next(header.split(":")[1] for header in headers if header.startswith("Host:"))
    time = datetime.fromisoformat(context["timestamp"].replace("Z", "+00:00"))
    parts = [
        context["region"], context["service"], credentials["access_key_id"], credentials["secret_access_key"],
        credentials.get("token", ""), int(time.timestamp()), context["expiration_in_seconds"],
        str(context["normalize"]).lower(), method, f"https://{host}{path}", body, *headers,
    ]
    parts = [str(part) for part in parts]
    assert not any(set(part) & set("\t\n") for part in parts), vector
    return "\t".join(parts)


def main():
    suite = Path(sys.argv[1])
    vectors = sorted(path.parent for path in suite.glob("*/query-signature.txt"))
    vectors = [vector for vector in vectors if vector.name not in OTHERS]
    assert len(vectors) == 35, f"{len(vectors)} vectors in {suite}"

    def signatures(lines):
        program = subprocess.run(sys.argv[2:], input="\n".join(lines) + "\n", text=True, capture_output=True)
        assert program.returncode == 0, program.stderr
        return program.stdout.split()

    lines = [line_of(vector) for vector in vectors]
    expected = [(vector / "query-signature.txt").read_text().strip() for vector in vectors]
    for vector, ours, theirs in zip(vectors, signatures(lines), expected, strict=True):
        assert ours == theirs, f"{vector.name}: {ours} instead of {theirs}"
    # That the comparison can fail: another secret has another signature.
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    others = signatures(line.replace(secret, secret + "x") for line in lines)
    assert all(ours != theirs for ours, theirs in zip(others, expected, strict=True))
    print(f"{len(vectors)} requests have the signatures of Amazon's test suite")


main()
