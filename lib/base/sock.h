/* Unix sockets by path. */
#ifndef SAMPAN_BASE_SOCK_H
#define SAMPAN_BASE_SOCK_H

/*
 * Connect to the socket at @path.
 * @type: SOCK_STREAM or SOCK_SEQPACKET
 * Returns a descriptor; -ENAMETOOLONG for a path of more than 107 bytes; otherwise -errno.
 */
int sock_connect_unix(const char *path, int type);

/*
 * Listen at @path, instead of whatever was there. The umask decides who may connect.
 * @backlog: connections that may wait for accept(2)
 * Returns as sock_connect_unix does.
 */
int sock_listen_unix(const char *path, int type, int backlog);

#endif
