# shellcheck shell=bash
# Whom the registry client believes: Mozilla's certificate authorities, in one file.
# source: ca-certificates amd64

build() {
	mkdir -p "$RESULT/etc/ssl/certs"
	cat usr/share/ca-certificates/mozilla/*.crt >"$RESULT/etc/ssl/certs/ca-certificates.crt"
}
