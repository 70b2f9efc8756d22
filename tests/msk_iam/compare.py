"""Compares tokens of the Rust crate aws-msk-iam-sasl-signer with those of Amazon's signer for Python.

A token is a URL that is signed (AWS Signature Version 4, in the query), encoded as base64url. The crate signs at the current time, so
Amazon's signer is run at the time that the crate's token names.
"""

import base64
import subprocess
import sys
from datetime import datetime, timezone
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import botocore.auth
from aws_msk_iam_sasl_signer import MSKAuthTokenProvider
from botocore.credentials import CredentialProvider, Credentials

# Regions, keys and session tokens, with characters that have to be encoded in a query. The first pair of keys is the one in Amazon's
# documentation of the signature.
CASES = [
    ("us-east-1", "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None),
    ("eu-central-1", "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None),
    ("us-west-2", "ASIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "IQoJb3JpZ2luX2VjE+/=" * 20),
    ("ap-southeast-2", "ASIAIOSFODNN7EXAMPLE", "secret/+=~-_.", "a-token's/+=&?%~*()!"),
]


class Given(CredentialProvider):
    def __init__(self, *credentials):
        self.credentials = Credentials(*credentials)

    def load(self):
        return self.credentials


def decoded(token):
    """Returns the parts of the URL of a token, without its user agent, which is not signed."""
    url = urlsplit(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
    query = parse_qsl(url.query, keep_blank_values=True, strict_parsing=True)
    agents = [value for name, value in query if name == "User-Agent"]
    assert len(agents) == 1 and len(query) == len(dict(query)), query
    return url.scheme, url.netloc, url.path, {name: value for name, value in query if name != "User-Agent"}


def of_amazon(region, credentials, time):
    """Returns the token of Amazon's signer at a time."""
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: time.replace(tzinfo=None)):
        return MSKAuthTokenProvider.generate_auth_token_from_credentials_provider(region, Given(*credentials))[0]


def main():
    lines = [" ".join(filter(None, case)) for case in CASES]
    program = subprocess.run(sys.argv[1:], input="\n".join(lines) + "\n", text=True, capture_output=True, check=True)
    answers = program.stdout.splitlines()
    assert len(answers) == len(CASES), program
    for (region, access, secret, token), answer in zip(CASES, answers):
        ours, expires_ms = answer.split(" ")
        url = decoded(ours)
        date = url[3]["X-Amz-Date"]
        time = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        theirs = decoded(of_amazon(region, (access, secret, token), time))
        assert theirs[3]["X-Amz-Date"] == date, "Amazon's signer ran at another time"
        assert url == theirs, f"\n{url}\n{theirs}"
        assert int(expires_ms) == (time.timestamp() + 900) * 1000, expires_ms
        # That the comparison can fail: another secret has another signature, and nothing else.
        other = decoded(of_amazon(region, (access, secret + "x", token), time))
        differing = {name for name in url[3] if url[3][name] != other[3][name]}
        assert differing == {"X-Amz-Signature"}, differing
        print(f"{region}{' with a session token' if token else ''}: the same URL and signature {url[3]['X-Amz-Signature'][:16]}…, at {date}")


main()
