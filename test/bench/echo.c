/*
 * The floor under every UDP server on a machine: sends each datagram back, up to 64 by one system
 * call, and looks at nothing. It moves action and transaction id to where a reply has them, so that
 * a load generator takes it for a tracker.
 *
 *   cc -O2 -o echo echo.c && ./echo HOST PORT
 */
#define _GNU_SOURCE
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define BATCH 64
#define SLOT 2048

static unsigned char slots[BATCH][SLOT];
static struct sockaddr_in6 names[BATCH];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];

int main(int argc, char **argv) {
  if (argc != 3) return fprintf(stderr, "usage: echo HOST PORT\n"), 2;
  struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST}, *at;
  if (getaddrinfo(argv[1], argv[2], &hints, &at) != 0) return fprintf(stderr, "bad address\n"), 2;

  int fd = socket(at->ai_family, SOCK_DGRAM, 0);
  int room = 4 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  if (fd < 0 || bind(fd, at->ai_addr, at->ai_addrlen) != 0) return perror("bind"), 1;

  for (int i = 0; i < BATCH; i++) {
    vectors[i].iov_base = slots[i];
    messages[i].msg_hdr.msg_name = &names[i];
    messages[i].msg_hdr.msg_iov = &vectors[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  for (;;) {
    for (int i = 0; i < BATCH; i++) {
      vectors[i].iov_len = SLOT;
      messages[i].msg_hdr.msg_namelen = sizeof names[i];
    }
    int count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
    for (int i = 0; i < count; i++) {
      memcpy(slots[i], slots[i] + 8, 8);
      vectors[i].iov_len = messages[i].msg_len;
    }
    for (int sent = 0; sent < count;) {
      int done = sendmmsg(fd, messages + sent, count - sent, 0);
      sent += done > 0 ? done : 1;
    }
  }
}
