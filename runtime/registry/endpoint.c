#include "runtime/registry/endpoint.h"

#include "lib/base/fd.h"
#include "lib/base/io.h"
#include "runtime/image/reference.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Where distributions keep the authorities that everybody trusts; an image has the first one. */
static const char *const system_bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/cert.pem",
};

/* The first of them that there is, or NULL. */
static const char *system_bundle(void)
{
	for (size_t i = 0; i < sizeof(system_bundles) / sizeof(system_bundles[0]); i++)
		if (access(system_bundles[i], R_OK) == 0)
			return system_bundles[i];
	return NULL;
}

static int add_file(struct buf *to, int dirfd, const char *name)
{
	AUTO_CLOSE int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n;
	char *at;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size + to->len > REGISTRY_CA_BYTES_MAX)
		return -EFBIG;
	at = buf_reserve(to, (size_t)st.st_size + 1);
	if (!at)
		return -ENOMEM;
	n = io_read_all(fd, at, (size_t)st.st_size);
	if (n < 0)
		return (int)n;
	to->len += (size_t)n;
	return buf_add(to, "\n", 1);
}

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s);

	return len > strlen(end) && strcmp(s + len - strlen(end), end) == 0;
}

/* Take one file of a DIR/HOST: NAME.crt, or NAME.cert with its NAME.key beside it. */
static int take_cert(struct endpoint *ep, int dirfd, const char *dir, const char *name)
{
	int n;

	if (ends_with(name, ".crt"))
		return add_file(&ep->host.ca, dirfd, name);
	if (!ends_with(name, ".cert") || ep->host.cert[0])
		return 0;
	n = snprintf(ep->host.cert, sizeof(ep->host.cert), "%s/%s", dir, name);
	if (n >= (int)sizeof(ep->host.cert))
		return -ENAMETOOLONG;
	(void)snprintf(ep->host.key, sizeof(ep->host.key), "%.*s.key", n - (int)strlen(".cert"),
		ep->host.cert);
	return access(ep->host.key, R_OK) < 0 ? -errno : 0;
}

/*
 * Read @certs/HOST, if there is one.
 * Returns whether there is, or -errno with @e filled.
 */
static int read_certs(const char *certs, const char *host, struct endpoint *ep, struct err *e)
{
	char dir[400];
	struct dirent *entry;
	int r = 0;
	DIR *d;

	if (snprintf(dir, sizeof(dir), "%s/%s", certs, host) >= (int)sizeof(dir))
		return err_set(e, ENAMETOOLONG, "%s/%s: too long", certs, host);
	d = opendir(dir);
	if (!d)
		return errno == ENOENT ? 0 : err_set(e, errno, "%s: %s", dir, strerror(errno));
	/* The authorities that everybody trusts go on counting, as with Docker. */
	if (ep->host.ca_file && !ep->host.ca.len)
		(void)add_file(&ep->host.ca, AT_FDCWD, ep->host.ca_file);
	while (r == 0 && (entry = readdir(d))) {
		r = take_cert(ep, dirfd(d), dir, entry->d_name);
		if (r < 0)
			err_set(e, -r, "%s/%s: %s", dir, entry->d_name, strerror(-r));
	}
	closedir(d);
	return r < 0 ? r : 1;
}

static bool listed_insecure(const struct registry_settings *s, const char *host)
{
	for (size_t i = 0; i < s->n_insecure; i++)
		if (strcmp(s->insecure[i], host) == 0)
			return true;
	return false;
}

/* Fill the endpoint for @host with the scheme "https" or "http". */
static int fill(const struct registry_settings *s, const char *host, bool plain,
	struct endpoint *ret, struct err *e)
{
	bool has_certs = false;

	(void)snprintf(ret->base, sizeof(ret->base), "%s://%s", plain ? "http" : "https", host);
	ret->host.stall_s = s->stall_s;
	ret->host.ca_file = system_bundle();
	for (size_t i = 0; s->certs_dirs[i]; i++) {
		int r = read_certs(s->certs_dirs[i], host, ret, e);

		if (r < 0) {
			endpoint_free(ret);
			return r;
		}
		has_certs |= r > 0;
	}
	/* A host with certificates of its own is to be checked with them, loopback too. */
	ret->host.insecure = listed_insecure(s, host) || (!has_certs && transfer_is_loopback(host));
	if (plain && !ret->host.insecure) {
		endpoint_free(ret);
		return 0;
	}
	return 1;
}

int endpoint_is_mirror(const char *url)
{
	const char *host = strstr(url, "://");
	size_t len;
	char name[256];

	if (!host || (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0))
		return 0;
	host += 3;
	len = strcspn(host, "/");
	if (len >= sizeof(name) || (host[len] && host[len + 1]))
		return 0;
	(void)snprintf(name, sizeof(name), "%.*s", (int)len, host);
	return reference_is_domain(name);
}

/* A mirror is "https://HOST[:PORT]" with or without a slash; "http://" makes it insecure. */
static int fill_mirror(
	const struct registry_settings *s, const char *url, struct endpoint *ret, struct err *e)
{
	bool plain = strncmp(url, "http://", 7) == 0;
	const char *host = strstr(url, "://");
	char name[256];
	int r;

	host = host ? host + 3 : url;
	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(host, "/"), host);
	r = fill(s, name, false, ret, e);
	if (r <= 0)
		return r;
	ret->mirror = true;
	if (plain) {
		ret->host.insecure = true;
		(void)snprintf(ret->base, sizeof(ret->base), "http://%s", name);
	}
	return 1;
}

int endpoint_get(const struct registry_settings *s, const char *domain, bool mirrors, unsigned i,
	struct endpoint *ret, struct err *e)
{
	bool hub = strcmp(domain, "docker.io") == 0;

	*ret = (struct endpoint){0};
	if (hub && mirrors) {
		if (i < s->n_mirrors)
			return fill_mirror(s, s->mirrors[i], ret, e);
		i -= (unsigned)s->n_mirrors;
	}
	if (i > 1)
		return 0;
	return fill(s, hub ? "registry-1.docker.io" : domain, i == 1, ret, e);
}

void endpoint_free(struct endpoint *ep)
{
	buf_free(&ep->host.ca);
	*ep = (struct endpoint){0};
}
