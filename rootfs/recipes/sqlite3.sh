# shellcheck shell=bash
# The engine's records.
# source: sqlite3
# needs: musl

build() {
	./configure CC=gcc --disable-shared --disable-tcl --disable-readline
	make sqlite3.c
	# serialised by the engine's own lock per connection; the options that sqlite.org recommends
	# shellcheck disable=SC2086 # the flags are words
	"$CC" $CFLAGS -DSQLITE_DQS=0 -DSQLITE_THREADSAFE=1 -DSQLITE_DEFAULT_MEMSTATUS=0 \
		-DSQLITE_DEFAULT_WAL_SYNCHRONOUS=2 -DSQLITE_LIKE_DOESNT_MATCH_BLOBS \
		-DSQLITE_MAX_EXPR_DEPTH=0 -DSQLITE_OMIT_DECLTYPE -DSQLITE_OMIT_DEPRECATED \
		-DSQLITE_OMIT_PROGRESS_CALLBACK -DSQLITE_OMIT_SHARED_CACHE -DSQLITE_OMIT_LOAD_EXTENSION \
		-DSQLITE_OMIT_AUTOINIT -DSQLITE_USE_ALLOCA -DSQLITE_TEMP_STORE=3 -DHAVE_USLEEP=1 -c sqlite3.c
	mkdir -p "$RESULT/lib" "$RESULT/include"
	"$GNU-ar" rcsD "$RESULT/lib/libsqlite3.a" sqlite3.o
	cp sqlite3.h "$RESULT/include/"
}
