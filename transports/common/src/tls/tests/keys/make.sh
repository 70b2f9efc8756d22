#!/bin/bash
# Makes the keys of this directory, and a PKCS#12 file with the last one, which is converted to PEM. They are committed as made by
# OpenSSL 3.0.19, and used by tests alone.
set -euo pipefail
cd "$(dirname "$0")"
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT

openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pkcs8.pem
openssl rsa -traditional -in rsa.pkcs8.pem -out rsa.pkcs1.pem
for curve in P-256 P-384; do
    openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:$curve" -out "$curve.pkcs8.pem"
    openssl ec -in "$curve.pkcs8.pem" -out "$curve.sec1.pem"
done
# The file of another way to make a key: with the curve's parameters before it.
openssl ecparam -name prime256v1 -genkey -out parameters.sec1.pem
openssl pkcs8 -topk8 -nocrypt -in parameters.sec1.pem -out parameters.pkcs8.pem
openssl genpkey -algorithm ED25519 -out ed25519.pkcs8.pem

openssl req -x509 -key P-256.pkcs8.pem -days 36500 -subj "/CN=client" -addext "basicConstraints=critical,CA:FALSE" \
    -out "$scratch/certificate.pem"
openssl pkcs12 -export -inkey P-256.pkcs8.pem -in "$scratch/certificate.pem" -passout pass:changeit -out keystore.p12
# As an error of this library says.
openssl pkcs12 -in keystore.p12 -noenc -passin pass:changeit -out converted.pem
