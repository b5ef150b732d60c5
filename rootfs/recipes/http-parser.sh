# shellcheck shell=bash
# The parser of HTTP/1.1, for the engine and the command on the console; small, for the latter.
# source: http-parser
# needs: musl

build() {
	# HTTP_MAX_HEADER_SIZE: bytes of a request's line and headers, as runtime/api/limits.h says
	# shellcheck disable=SC2086 # the flags are words
	"$CC" $CFLAGS -Os -DHTTP_PARSER_STRICT=1 -DHTTP_MAX_HEADER_SIZE=65536 -c http_parser.c
	mkdir -p "$RESULT/lib" "$RESULT/include"
	"$GNU-ar" rcsD "$RESULT/lib/libhttp_parser.a" http_parser.o
	cp http_parser.h "$RESULT/include/"
}
