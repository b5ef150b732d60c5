#include "runtime/store/schema.h"

const char *const schema_steps[] = {
	/* JSON columns hold the API's own objects: what the engine does not search by. */
	"CREATE TABLE images ("
	"  id TEXT PRIMARY KEY,"       /* sha256:… of the config */
	"  config TEXT NOT NULL,"      /* the config's JSON, as its digest has it */
	"  size INTEGER NOT NULL,"     /* bytes of all layers, unpacked */
	"  tagged_ns INTEGER NOT NULL" /* when it last got a name, realtime */
	") STRICT;"
	"CREATE TABLE image_layers ("
	"  image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,"
	"  position INTEGER NOT NULL,"
	"  chain TEXT NOT NULL," /* chainID: names the layer's directory */
	"  PRIMARY KEY (image, position)"
	") STRICT;"
	"CREATE TABLE names ("
	"  name TEXT PRIMARY KEY," /* docker.io/library/debian:12, or …@sha256:… */
	"  image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE"
	") STRICT;"
	"CREATE TABLE layers ("
	"  chain TEXT PRIMARY KEY,"
	"  diff TEXT NOT NULL,"
	"  size INTEGER NOT NULL" /* bytes */
	") STRICT;"
	"CREATE TABLE containers ("
	"  id TEXT PRIMARY KEY,"
	"  name TEXT NOT NULL UNIQUE,"
	"  image TEXT NOT NULL,"
	"  record TEXT NOT NULL," /* what it was made from */
	"  state TEXT NOT NULL"	  /* what became of it */
	") STRICT;"
	"CREATE TABLE volumes ("
	"  name TEXT PRIMARY KEY,"
	"  record TEXT NOT NULL"
	") STRICT;",

	/* Where a layer's archive is kept: blobs/, by digest. Layers of before have none. */
	"ALTER TABLE layers ADD COLUMN blob TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE layers ADD COLUMN packing INTEGER NOT NULL DEFAULT 0;"    /* enum packing */
	"ALTER TABLE layers ADD COLUMN blob_size INTEGER NOT NULL DEFAULT 0;"  /* bytes */
	"ALTER TABLE layers ADD COLUMN plain_size INTEGER NOT NULL DEFAULT 0;" /* bytes */
	"CREATE INDEX layers_by_blob ON layers (blob);",

	/* The container that a volume was made for and that is not on record yet, or not any more:
	 * without a record of it the volume goes too. */
	"ALTER TABLE volumes ADD COLUMN maker TEXT;",

	/* What a registry called the image, word for word: pushed again, it has the same digest. */
	"CREATE TABLE manifests ("
	"  image TEXT PRIMARY KEY REFERENCES images(id) ON DELETE CASCADE,"
	"  media_type TEXT NOT NULL,"
	"  text TEXT NOT NULL"
	") STRICT;",
};

const size_t schema_version = sizeof(schema_steps) / sizeof(schema_steps[0]);
