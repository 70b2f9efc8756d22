#!/bin/bash
# Makes the certificates of this directory. They are committed as made by OpenSSL 3.0.19, and used by tests alone.
set -euo pipefail
cd "$(dirname "$0")"
days=(-days 36500)
ec=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT

openssl req -x509 "${ec[@]}" -keyout "$scratch/authority.key" -out authority.pem "${days[@]}" -subj "/CN=authority"
sign=(openssl x509 -req -CA authority.pem -CAkey "$scratch/authority.key" "${days[@]}")

# As librdkafka's "Using SSL with librdkafka" shows: no extension file, so version 1.
openssl req -newkey rsa:2048 -nodes -keyout v1.key -out "$scratch/v1.csr" -subj "/CN=broker"
"${sign[@]}" -in "$scratch/v1.csr" -out v1.pem
# The two remedies.
"${sign[@]}" -in "$scratch/v1.csr" -extfile <(echo "subjectAltName=DNS:broker") -out extfile.pem
openssl req "${ec[@]}" -keyout copied.key -out "$scratch/copied.csr" -subj "/CN=broker" -addext "subjectAltName=DNS:broker"
"${sign[@]}" -in "$scratch/copied.csr" -copy_extensions copy -out copied.pem

# Version 3, with the host in the common name alone.
"${sign[@]}" -in "$scratch/copied.csr" -extfile <(echo "basicConstraints=CA:FALSE") -out common-name.pem

# Self-signed, with the extensions that OpenSSL's own openssl.cnf gives it (CA:TRUE); and with the remedy.
openssl req -x509 "${ec[@]}" -keyout self-signed.key -out self-signed.pem "${days[@]}" -subj "/CN=broker" \
    -addext "subjectAltName=DNS:broker"
openssl req -x509 -key self-signed.key -out self-signed-no-authority.pem "${days[@]}" -subj "/CN=broker" \
    -addext "subjectAltName=DNS:broker" -addext "basicConstraints=critical,CA:FALSE"

# RSA 1024: the broker's key, and the authority's.
openssl req -newkey rsa:1024 -nodes -keyout "$scratch/weak.key" -out "$scratch/weak.csr" -subj "/CN=broker" \
    -addext "subjectAltName=DNS:broker"
"${sign[@]}" -in "$scratch/weak.csr" -copy_extensions copy -out weak.pem
openssl req -x509 -newkey rsa:1024 -nodes -keyout "$scratch/weak-authority.key" -out weak-authority.pem "${days[@]}" \
    -subj "/CN=weak authority"
openssl x509 -req -CA weak-authority.pem -CAkey "$scratch/weak-authority.key" "${days[@]}" -in "$scratch/copied.csr" \
    -copy_extensions copy -out signed-by-weak.pem

# SHA-1.
"${sign[@]}" -in "$scratch/copied.csr" -copy_extensions copy -sha1 -out sha1.pem
