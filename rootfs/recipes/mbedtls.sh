# shellcheck shell=bash
# TLS 1.2 and 1.3, certificates and digests.
# source: mbedtls
# needs: musl

build() {
	# what only old or small machines want stays out; threads share the random generator
	python3 scripts/config.py unset MBEDTLS_SELF_TEST
	python3 scripts/config.py unset MBEDTLS_DEBUG_C
	python3 scripts/config.py unset MBEDTLS_SSL_DTLS_ANTI_REPLAY
	python3 scripts/config.py set MBEDTLS_THREADING_C
	python3 scripts/config.py set MBEDTLS_THREADING_PTHREAD
	make -j"$JOBS" -C library CC="$CC" AR="$GNU-ar" CFLAGS="$CFLAGS" WARNING_CFLAGS= static
	mkdir -p "$RESULT/lib"
	cp library/libmbedtls.a library/libmbedx509.a library/libmbedcrypto.a "$RESULT/lib/"
	cp -r include "$RESULT/"
}
