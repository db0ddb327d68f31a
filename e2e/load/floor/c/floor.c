// floor.c does what ../main.go does, in C: see there.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, ROOM = 512, EVENTS = 256, CALLS = 65536, SOCKETS = 1 << 20 };

struct call {
	struct sockaddr_in browser, phone;
	int rtp;
};

static struct call *by_browser[CALLS]; // by the last two bytes of its address
static struct call *by_socket[SOCKETS];
static struct mmsghdr in[BATCH], out[BATCH];
static struct iovec in_vectors[BATCH], out_vectors[BATCH];
static struct sockaddr_in names[BATCH];
static char buffers[BATCH][ROOM];
static int out_sockets[BATCH], queued;
static int poll_fd, browsers;
static struct in_addr address;

static void die(const char *what) {
	perror(what);
	exit(1);
}

static int open_socket(uint16_t port, uint16_t *bound) {
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = address};
	socklen_t size = sizeof at;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) die("socket");
	if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0) {
		close(fd);
		return -1;
	}
	if (getsockname(fd, (struct sockaddr *)&at, &size) < 0) die("getsockname");
	*bound = ntohs(at.sin_port);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) < 0) die("epoll_ctl");
	return fd;
}

static void add(const char *line) {
	char browser[32], phone[32];
	unsigned browser_port, phone_port;
	if (sscanf(line, "%31[^:]:%u %31[^:]:%u", browser, &browser_port, phone, &phone_port) != 4) return;
	struct call *c = calloc(1, sizeof *c);
	if (!c) die("calloc");
	c->browser.sin_family = c->phone.sin_family = AF_INET;
	c->browser.sin_port = htons(browser_port), c->phone.sin_port = htons(phone_port);
	if (!inet_aton(browser, &c->browser.sin_addr) || !inet_aton(phone, &c->phone.sin_addr)) die("address");
	for (int tries = 0; tries < 1000; tries++) {
		uint16_t port = 0, next = 0;
		c->rtp = open_socket(0, &port);
		if (c->rtp >= 0 && port % 2 == 0 && open_socket(port + 1, &next) >= 0) {
			by_browser[ntohl(c->browser.sin_addr.s_addr) % CALLS] = c;
			by_socket[c->rtp] = c;
			printf("%u\n", port);
			fflush(stdout);
			return;
		}
		if (c->rtp >= 0) close(c->rtp);
	}
	die("no pair of ports is free");
}

static void flush_out(void) {
	for (int at = 0; at < queued;) {
		int end = at + 1;
		while (end < queued && out_sockets[end] == out_sockets[at]) end++;
		int n = sendmmsg(out_sockets[at], out + at, end - at, MSG_DONTWAIT);
		at += n > 0 ? n : 1;
	}
	queued = 0;
}

static void queue(int i, int fd, struct sockaddr_in *to) {
	out_vectors[queued] = (struct iovec){buffers[i], in[i].msg_len};
	out[queued].msg_hdr = (struct msghdr){.msg_name = to, .msg_namelen = sizeof *to, .msg_iov = &out_vectors[queued], .msg_iovlen = 1};
	out_sockets[queued++] = fd;
}

static void read_all(int fd) {
	for (;;) {
		for (int i = 0; i < BATCH; i++) in[i].msg_hdr.msg_namelen = sizeof names[i];
		int n = recvmmsg(fd, in, BATCH, MSG_DONTWAIT, NULL);
		if (n <= 0) return;
		for (int i = 0; i < n; i++) {
			struct call *c = fd == browsers ? by_browser[ntohl(names[i].sin_addr.s_addr) % CALLS] : by_socket[fd];
			if (!c) continue;
			if (fd == browsers) queue(i, c->rtp, &c->phone);
			else queue(i, browsers, &c->browser);
		}
		flush_out();
		if (n < BATCH) return;
	}
}

// take_lines reads what has come on standard input; 0 at its end.
static int take_lines(void) {
	static char text[65536];
	static size_t used;
	ssize_t n = read(0, text + used, sizeof text - 1 - used);
	if (n == 0) return 0;
	if (n < 0) return errno == EAGAIN || errno == EINTR;
	used += n;
	text[used] = 0;
	char *line = text, *end;
	while ((end = strchr(line, '\n'))) {
		*end = 0;
		add(line);
		line = end + 1;
	}
	used -= line - text;
	memmove(text, line, used);
	return 1;
}

int main(int argc, char **argv) {
	struct epoll_event events[EVENTS];
	char host[32];
	unsigned port;
	uint16_t bound;
	int room = 4 << 20;
	if (argc != 2 || sscanf(argv[1], "%31[^:]:%u", host, &port) != 2 || !inet_aton(host, &address)) {
		fprintf(stderr, "usage: floor ADDRESS:PORT\n");
		return 2;
	}
	for (int i = 0; i < BATCH; i++) {
		in_vectors[i] = (struct iovec){buffers[i], ROOM};
		in[i].msg_hdr = (struct msghdr){.msg_name = &names[i], .msg_iov = &in_vectors[i], .msg_iovlen = 1};
	}
	poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (poll_fd < 0) die("epoll_create1");
	browsers = open_socket(port, &bound);
	if (browsers < 0) die("bind");
	if (setsockopt(browsers, SOL_SOCKET, SO_RCVBUF, &room, sizeof room) < 0) die("setsockopt");
	if (setsockopt(browsers, SOL_SOCKET, SO_SNDBUF, &room, sizeof room) < 0) die("setsockopt");
	fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
	struct timespec tick = {0, 1000000};
	while (take_lines()) {
		int n;
		do {
			n = epoll_wait(poll_fd, events, EVENTS, 0);
			for (int i = 0; i < n; i++) read_all(events[i].data.fd);
		} while (n == EVENTS);
		nanosleep(&tick, NULL);
	}
	return 0;
}
