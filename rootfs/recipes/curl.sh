# shellcheck shell=bash
# The registry client's HTTP and TLS: nothing but http and https.
# source: curl
# needs: musl mbedtls

build() {
	./configure --host="$MUSL" CC="$CC" CFLAGS="$CFLAGS" --prefix=/ --enable-static --disable-shared \
		CPPFLAGS="-I$DEP_MBEDTLS/include" LDFLAGS="-L$DEP_MBEDTLS/lib" \
		--with-mbedtls="$DEP_MBEDTLS" --without-zlib --without-zstd --without-brotli \
		--without-libpsl --without-libidn2 --without-nghttp2 --without-librtmp --without-ca-bundle \
		--without-ca-path --disable-ares --enable-threaded-resolver --disable-ftp --disable-file \
		--disable-ldap --disable-ldaps --disable-rtsp --disable-dict --disable-telnet \
		--disable-tftp --disable-pop3 --disable-imap --disable-smb --disable-smtp \
		--disable-gopher --disable-mqtt --disable-ipfs --disable-websockets --disable-manual \
		--disable-docs --disable-ntlm --disable-kerberos-auth --disable-negotiate-auth \
		--disable-aws --disable-doh --disable-mime --disable-form-api --disable-alt-svc \
		--disable-hsts --disable-cookies --disable-netrc --disable-unix-sockets \
		--disable-libcurl-option --disable-dateparse --disable-progress-meter
	make -j"$JOBS" -C lib
	mkdir -p "$RESULT/lib"
	cp lib/.libs/libcurl.a "$RESULT/lib/"
	mkdir -p "$RESULT/include/curl"
	cp include/curl/*.h "$RESULT/include/curl/"
}
