#include "runtime/oci/netdev.h"

#include "lib/base/fd.h"
#include "runtime/oci/limits.h"
#include "runtime/oci/rtnetlink.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* linux/if_addr.h of Linux 5.18; older headers lack it. */
enum { ATTR_PROTO = 11 };

/* What an address is made of, but for its label, which holds the interface's name. */
static const uint16_t kept_attrs[] = {
	IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_RT_PRIORITY, ATTR_PROTO};

#define KEPT_ATTRS_N (sizeof(kept_attrs) / sizeof(kept_attrs[0]))

struct addr {
	struct ifaddrmsg head;
	uint32_t flags;
	struct {
		uint8_t len; /* 0: not there */
		unsigned char data[16];
	} attrs[KEPT_ATTRS_N];
};

struct netdev {
	const char *name;     /* on the host */
	const char *new_name; /* in the container */
	int index;	      /* where it is now */
	unsigned flags;	      /* IFF_* it had */
	bool moved;
	struct addr *addrs;
	size_t n_addrs;
	bool too_many;
};

/* Source: the kernel's dev_valid_name(). */
bool netdev_name_valid(const char *name, bool template)
{
	const char *percent = strchr(name, '%');

	if (!name[0] || strlen(name) >= IFNAMSIZ || strcmp(name, ".") == 0 ||
		strcmp(name, "..") == 0 || strpbrk(name, "/: \t\n\v\f\r"))
		return false;
	return !percent || (template && percent[1] == 'd' && !strchr(percent + 1, '%'));
}

int netdev_check(const struct config *c, struct err *e)
{
	if (c->n_net_devices && !c->ns[NS_NET].given)
		return err_set(e, EINVAL, "linux.netDevices: needs a network namespace to move to");
	for (size_t i = 0; i < c->n_net_devices; i++) {
		const struct config_net_device *d = &c->net_devices[i];

		if (!netdev_name_valid(d->name, false))
			return err_set(e, EINVAL,
				"linux.netDevices.%s: no interface can have this name", d->name);
		if (!netdev_name_valid(d->new_name, true))
			return err_set(e, EINVAL,
				"linux.netDevices.%s.name: no interface can be called \"%s\"",
				d->name, d->new_name);
		for (size_t k = 0; k < i; k++) {
			if (strcmp(d->new_name, c->net_devices[k].new_name) == 0 &&
				!strchr(d->new_name, '%'))
				return err_set(e, EINVAL,
					"linux.netDevices.%s.name: %s is also called \"%s\"",
					d->name, c->net_devices[k].name, d->new_name);
		}
	}
	return 0;
}

static void note_link(struct nlmsghdr *msg, void *arg)
{
	struct ifinfomsg *link = NLMSG_DATA(msg);
	struct netdev *d = arg;

	if (msg->nlmsg_type != RTM_NEWLINK || msg->nlmsg_len < NLMSG_LENGTH(sizeof(*link)))
		return;
	d->index = link->ifi_index;
	d->flags = link->ifi_flags;
}

/* Returns 0; -ENODEV; otherwise -errno. */
static int find_link(int sock, const char *name, struct netdev *ret)
{
	struct rtnl_request q;

	rtnl_begin(&q, RTM_GETLINK, NLM_F_ACK, sizeof(q.link));
	rtnl_attr(&q, IFLA_IFNAME, name, strlen(name) + 1);
	return rtnl_talk(sock, &q, note_link, ret);
}

static struct addr *add_addr(struct netdev *d)
{
	struct addr *more;

	if (d->n_addrs == OCI_NETDEV_ADDRS_MAX)
		return NULL;
	more = realloc(d->addrs, (d->n_addrs + 1) * sizeof(*more));
	if (!more)
		return NULL;
	d->addrs = more;
	more = &d->addrs[d->n_addrs++];
	*more = (struct addr){0};
	return more;
}

/* The spec: permanent addresses of global scope go along. */
static void note_addr(struct nlmsghdr *msg, void *arg)
{
	struct ifaddrmsg *head = NLMSG_DATA(msg);
	struct netdev *d = arg;
	struct addr *a;
	int left;

	if (msg->nlmsg_type != RTM_NEWADDR || msg->nlmsg_len < NLMSG_LENGTH(sizeof(*head)) ||
		(int)head->ifa_index != d->index || !(head->ifa_flags & IFA_F_PERMANENT) ||
		head->ifa_scope != RT_SCOPE_UNIVERSE)
		return;
	a = add_addr(d);
	if (!a) {
		d->too_many = true;
		return;
	}
	a->head = *head;
	a->flags = head->ifa_flags;
	left = (int)IFA_PAYLOAD(msg);
	for (struct rtattr *t = IFA_RTA(head); RTA_OK(t, left); t = RTA_NEXT(t, left)) {
		size_t len = RTA_PAYLOAD(t);

		if (t->rta_type == IFA_FLAGS && len == sizeof(a->flags))
			memcpy(&a->flags, RTA_DATA(t), len);
		for (size_t k = 0; k < KEPT_ATTRS_N; k++) {
			if (t->rta_type != kept_attrs[k] || len > sizeof(a->attrs[k].data))
				continue;
			a->attrs[k].len = (uint8_t)len;
			memcpy(a->attrs[k].data, RTA_DATA(t), len);
		}
	}
}

static int read_addrs(int sock, struct netdev *d)
{
	struct rtnl_request q;
	int r;

	rtnl_begin(&q, RTM_GETADDR, NLM_F_DUMP, sizeof(q.addr));
	q.addr.ifa_index = (unsigned)d->index;
	r = rtnl_talk(sock, &q, note_addr, d);
	return r == 0 && d->too_many ? -E2BIG : r;
}

static int write_addrs(int sock, const struct netdev *d)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < d->n_addrs; i++) {
		const struct addr *a = &d->addrs[i];
		/* The others say how it fares on a link, not what it is. */
		const uint32_t flags =
			a->flags & (IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR |
					   IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN);
		struct rtnl_request q;

		rtnl_begin(&q, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(q.addr));
		q.addr = a->head;
		q.addr.ifa_flags = (uint8_t)flags;
		q.addr.ifa_index = (unsigned)d->index;
		rtnl_attr(&q, IFA_FLAGS, &flags, sizeof(flags));
		for (size_t k = 0; k < KEPT_ATTRS_N; k++) {
			if (a->attrs[k].len)
				rtnl_attr(&q, kept_attrs[k], a->attrs[k].data, a->attrs[k].len);
		}
		r = rtnl_talk(sock, &q, NULL, NULL);
	}
	return r;
}

/* Change the link @index: -1 and NULL leave what they stand for. */
static int set_link(int sock, int index, int ns, const char *name, bool up)
{
	struct rtnl_request q;

	rtnl_begin(&q, RTM_NEWLINK, NLM_F_ACK, sizeof(q.link));
	q.link.ifi_index = index;
	q.link.ifi_flags = up ? IFF_UP : 0;
	q.link.ifi_change = up ? IFF_UP : 0;
	if (ns >= 0)
		rtnl_attr(&q, IFLA_NET_NS_FD, &ns, sizeof(ns));
	if (name)
		rtnl_attr(&q, IFLA_IFNAME, name, strlen(name) + 1);
	return rtnl_talk(sock, &q, NULL, NULL);
}

/* A socket in @target, made there: from then on it belongs to that namespace, we do not. */
static int open_inside(int target, int own)
{
	int sock;
	int r = setns(target, CLONE_NEWNET) < 0 ? -errno : 0;

	if (r < 0)
		return r;
	sock = rtnl_open();
	if (setns(own, CLONE_NEWNET) == 0)
		return sock;
	/* Hooks and the rest of the host's side must not run in there. */
	r = -errno;
	fd_close(&sock);
	return r;
}

static int look_up(const struct config *c, struct netdev_moves *m, struct err *e)
{
	for (size_t i = 0; i < c->n_net_devices; i++) {
		struct netdev *d = &m->v[i];
		struct netdev other = {0};
		int r;

		d->name = c->net_devices[i].name;
		d->new_name = c->net_devices[i].new_name;
		m->n++;
		r = find_link(m->host, d->name, d);
		if (r == 0)
			r = read_addrs(m->host, d);
		if (r < 0)
			return err_set(e, -r, "linux.netDevices.%s: %s", d->name, strerror(-r));
		if (find_link(m->inner, d->new_name, &other) == 0)
			return err_set(e, EEXIST,
				"linux.netDevices.%s: the container already has a \"%s\"", d->name,
				d->new_name);
	}
	return 0;
}

/* It travels under a name that nobody has, so that it is found on the other side. */
static int move_one(const struct netdev_moves *m, int target, struct netdev *d, struct err *e)
{
	struct netdev found = {0};
	char name[IFNAMSIZ];
	unsigned number;
	int r = getrandom(&number, sizeof(number), 0) < 0 ? -errno : 0;

	if (r < 0)
		return err_set(e, -r, "linux.netDevices: %s", strerror(-r));
	snprintf(name, sizeof(name), "oci%08x", number);
	r = set_link(m->host, d->index, target, name, false);
	if (r == 0)
		r = find_link(m->inner, name, &found);
	if (r < 0)
		return err_set(e, -r, "linux.netDevices.%s: move it into the container: %s",
			d->name, strerror(-r));
	d->index = found.index;
	d->moved = true;
	r = set_link(m->inner, d->index, -1, d->new_name, false);
	if (r < 0)
		return err_set(e, -r, "linux.netDevices.%s: call it %s: %s", d->name, d->new_name,
			strerror(-r));
	r = write_addrs(m->inner, d);
	if (r < 0)
		return err_set(
			e, -r, "linux.netDevices.%s: its addresses: %s", d->name, strerror(-r));
	r = set_link(m->inner, d->index, -1, NULL, true);
	return r < 0 ? err_set(e, -r, "linux.netDevices.%s: bring it up: %s", d->name, strerror(-r))
		     : 0;
}

void netdev_forget(struct netdev_moves *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->v[i].addrs);
	free(m->v);
	m->v = NULL;
	m->n = 0;
	fd_close(&m->host);
	fd_close(&m->inner);
	fd_close(&m->own_ns);
}

void netdev_put_back(struct netdev_moves *m, void (*warn)(const char *fmt, ...))
{
	for (size_t i = m->n; i-- > 0;) {
		struct netdev *d = &m->v[i];
		struct netdev found = {0};
		int r;

		if (!d->moved)
			continue;
		r = set_link(m->inner, d->index, m->own_ns, d->name, false);
		if (r == 0)
			r = find_link(m->host, d->name, &found);
		d->index = found.index;
		if (r == 0)
			r = write_addrs(m->host, d);
		if (r == 0 && (d->flags & IFF_UP))
			r = set_link(m->host, d->index, -1, NULL, true);
		if (r < 0)
			warn("linux.netDevices.%s: put it back: %s", d->name, strerror(-r));
	}
	netdev_forget(m);
}

int netdev_move(
	const struct config *c, int host_proc, int target, struct netdev_moves *m, struct err *e)
{
	int r;

	m->own_ns = openat(host_proc, "self/ns/net", O_RDONLY | O_CLOEXEC);
	m->host = rtnl_open();
	if (m->own_ns < 0 || m->host < 0)
		return err_set(e, errno, "linux.netDevices: %s", strerror(errno));
	m->inner = open_inside(target, m->own_ns);
	if (m->inner < 0)
		return err_set(e, -m->inner, "linux.netDevices: enter the container's network: %s",
			strerror(-m->inner));
	m->v = calloc(c->n_net_devices, sizeof(*m->v));
	if (!m->v)
		return err_set(e, ENOMEM, "linux.netDevices: out of memory");
	r = look_up(c, m, e);
	for (size_t i = 0; r == 0 && i < m->n; i++)
		r = move_one(m, target, &m->v[i], e);
	return r;
}
