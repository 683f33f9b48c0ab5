/*
 * The second generator of load over UDP, for the comparison: bursts of BEP 15 requests over IPv4.
 *
 * It differs from udp-load.ts in what it asks, not only in its language. There a peer announces
 * from one address for ever, so an announce finds its peer stored. Here peers have no socket of
 * their own: each burst takes the next peers in order, from whichever socket has room. So the same
 * peer comes from another of the addresses each time and is a new one there, as peers are whose
 * address changes: swarms grow while the load lasts, replies are fuller, and an announce mostly
 * stores a peer where that of udp-load.ts mostly renews one. `--still 1` gives peers their sockets.
 *
 * Modes: `fill` announces each peer once and wants none in return; `closed` keeps `window` requests
 * in flight over `sockets` sockets, each at an address of its own. A socket sends up to 64 by one
 * system call as soon as a quarter of its share of the window is free.
 *
 * Prints one line: requests answered per second, CPU time of the process `pid` per answer, peers
 * per announce, losses. Info hashes are those of workload.ts, so that a whitelist holds them.
 *
 *   cc -O2 -o udp-burst udp-burst.c && ./udp-burst --port 6969 --pid PID --seconds 3
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define SOCKETS_MAX 64
#define REQUEST_SLOT 256
#define REPLY_SLOT 2048
#define HASHES_MAX 10
#define LOST_SECONDS 0.25
#define RECEIVE_BUFFER (8 << 20)
/* As in workload.ts: three of four peers are seeders, and ports begin at 1024. */
#define SEEDERS_OF_4 3
#define PORT_FIRST 1024
#define PORTS 60000

enum { CONNECT, ANNOUNCE, SCRAPE };
enum { EVENT_COMPLETED = 1, EVENT_STARTED };

static char host[64] = "127.0.0.1", mode[16] = "closed";
static int port = 6969, pid, seconds = 3, sockets = 8, window = 512, swarms = 100000;
static int peers = 1000000, skew = 1, wanted = 30, connects = 50, announces = 50, scrapes = 1, still;

static const struct { const char *name; int *value; } numbers[] = {
  {"port", &port},         {"pid", &pid},         {"seconds", &seconds}, {"sockets", &sockets},
  {"window", &window},     {"swarms", &swarms},   {"peers", &peers},     {"skew", &skew},
  {"wanted", &wanted},     {"connects", &connects}, {"announces", &announces},
  {"scrapes", &scrapes},   {"still", &still},
};

/* One client: a connected socket at an address of its own. */
struct client {
  int fd, in_flight;
  unsigned char id[8];
  double heard;
  /* With --still: how many of its own peers it has announced. */
  uint32_t announced;
};

static struct client clients[SOCKETS_MAX];
static unsigned char requests[BATCH][REQUEST_SLOT], replies[BATCH][REPLY_SLOT];
static struct iovec out_vectors[BATCH], in_vectors[BATCH];
static struct mmsghdr out[BATCH], in[BATCH];
static uint64_t sent, received, lost, peer_bytes, answered[3], errors;
/* The next peer in order, and the state of the random numbers. */
static uint32_t next_peer, random_state = 2463534242u;

static int fail(const char *why) {
  fprintf(stderr, "error: %s\n", why);
  exit(1);
}

static void read_options(int argc, char **argv) {
  for (int i = 1; i < argc; i += 2) {
    const char *name = argv[i] + 2, *value = argv[i + 1];
    size_t at = 0, count = sizeof numbers / sizeof *numbers;
    if (strncmp(argv[i], "--", 2) != 0 || value == NULL) fail("options are --name value");
    while (at < count && strcmp(name, numbers[at].name) != 0) at++;
    if (at < count) *numbers[at].value = atoi(value);
    else if (strcmp(name, "host") == 0) snprintf(host, sizeof host, "%s", value);
    else if (strcmp(name, "mode") == 0) snprintf(mode, sizeof mode, "%s", value);
    else fail("an option is not known");
  }
  if (sockets < 1 || sockets > SOCKETS_MAX) fail("--sockets are 1 to 64");
  if (peers < sockets || swarms < 1) fail("there are too few peers or swarms");
  if (strcmp(mode, "closed") != 0 && strcmp(mode, "fill") != 0) fail("--mode is closed or fill");
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec * 1e-9;
}

/* Seconds of CPU time that a process has used; 0 if there is none. */
static double cpu_seconds(int of) {
  char path[64], text[1024];
  long user = 0, kernel = 0;
  snprintf(path, sizeof path, "/proc/%d/stat", of);
  FILE *file = of > 0 ? fopen(path, "r") : NULL;
  if (file == NULL) return 0;
  size_t length = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[length] = 0;
  char *after = strrchr(text, ')');
  if (after == NULL) return 0;
  sscanf(after + 2, "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %ld %ld", &user, &kernel);
  return (double)(user + kernel) / sysconf(_SC_CLK_TCK);
}

static double own_seconds(void) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  return use.ru_utime.tv_sec + use.ru_stime.tv_sec +
         (use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1e-6;
}

/* The workload: the functions of workload.ts. */

static uint32_t mix(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x21f0aaad;
  x = (x ^ (x >> 15)) * 0x735a2d97;
  return x ^ (x >> 15);
}

static void put_info_hash(unsigned char *at, uint32_t swarm) {
  for (uint32_t i = 0; i < 5; i++) {
    uint32_t word = mix(swarm ^ (0x5bd1e995 * (i + 1)));
    memcpy(at + 4 * i, &word, 4);
  }
}

static uint32_t swarm_of(uint32_t peer) {
  double u = mix(peer ^ 0x2545f491) / 4294967296.0;
  return (uint32_t)((skew ? u * u : u) * swarms);
}

static int is_seeder(uint32_t peer) { return mix(peer ^ 0x7f4a7c15) >> 30 < SEEDERS_OF_4; }

static uint32_t draw(uint32_t below) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 17;
  random_state ^= random_state << 5;
  return random_state % below;
}

/* Requests. */

static void put32(unsigned char *at, uint32_t value) {
  value = htonl(value);
  memcpy(at, &value, 4);
}

static uint32_t get32(const unsigned char *at) {
  uint32_t value;
  memcpy(&value, at, 4);
  return ntohl(value);
}

static size_t put_connect(unsigned char *at) {
  put32(at, 0x417);
  put32(at + 4, 0x27101980);
  return 16;
}

static size_t put_announce(unsigned char *at, uint32_t peer) {
  int seeder = is_seeder(peer);
  put_info_hash(at + 16, swarm_of(peer));
  memcpy(at + 36, "-BB0000-", 8);
  put32(at + 44, peer);
  put32(at + 48, mix(peer));
  memcpy(at + 52, "BBBB", 4);
  memset(at + 56, 0, 24);
  /* Downloaded, left and uploaded; only their last words. */
  put32(at + 60, 50);
  put32(at + 68, seeder ? 0 : 50);
  put32(at + 76, 50);
  put32(at + 80, seeder ? EVENT_COMPLETED : EVENT_STARTED);
  put32(at + 84, 0);
  put32(at + 88, peer);
  put32(at + 92, (uint32_t)wanted);
  at[96] = (PORT_FIRST + peer % PORTS) >> 8;
  at[97] = (PORT_FIRST + peer % PORTS) & 0xff;
  return 98;
}

static size_t put_scrape(unsigned char *at) {
  uint32_t hashes = 1 + draw(HASHES_MAX);
  for (uint32_t i = 0; i < hashes; i++) put_info_hash(at + 16 + 20 * i, draw((uint32_t)swarms));
  return 16 + 20 * hashes;
}

static uint32_t choose_peer(struct client *client) {
  if (!still) return next_peer++ % (uint32_t)peers;
  int number = (int)(client - clients);
  uint32_t share = (uint32_t)(peers / sockets + (number < peers % sockets));
  return (uint32_t)number + client->announced++ % share * (uint32_t)sockets;
}

static void build(struct client *client, int slot, int kind) {
  unsigned char *at = requests[slot];
  memcpy(at, client->id, 8);
  put32(at + 8, (uint32_t)kind);
  put32(at + 12, (uint32_t)sent + (uint32_t)slot);
  out_vectors[slot].iov_len = kind == CONNECT    ? put_connect(at)
                              : kind == ANNOUNCE ? put_announce(at, choose_peer(client))
                                                 : put_scrape(at);
}

static int choose_kind(void) {
  int drawn = (int)draw((uint32_t)(connects + announces + scrapes));
  return drawn < connects ? CONNECT : drawn < connects + announces ? ANNOUNCE : SCRAPE;
}

static int send_burst(struct client *client, int count) {
  int done = count > 0 ? sendmmsg(client->fd, out, (unsigned)count, 0) : 0;
  if (done <= 0) return 0;
  sent += (uint64_t)done;
  client->in_flight += done;
  return done;
}

/* Replies. */

static void take(struct client *client, const unsigned char *reply, unsigned length) {
  uint32_t action = get32(reply);
  if (action == CONNECT && length == 16) memcpy(client->id, reply + 8, 8);
  else if (action == ANNOUNCE && length >= 20) peer_bytes += length - 20;
  else if (action != SCRAPE) {
    errors++;
    return;
  }
  answered[action]++;
}

static int receive(struct client *client, double time) {
  int count = recvmmsg(client->fd, in, BATCH, 0, NULL);
  if (count > 0) {
    for (int i = 0; i < count; i++) take(client, replies[i], in[i].msg_len);
    received += (uint64_t)count;
    client->in_flight = client->in_flight > count ? client->in_flight - count : 0;
    client->heard = time;
    return count;
  }
  if (client->in_flight > 0 && time - client->heard > LOST_SECONDS) {
    lost += (uint64_t)client->in_flight;
    client->in_flight = 0;
    client->heard = time;
  }
  return 0;
}

static void wait_for_replies(int milliseconds) {
  struct pollfd polls[SOCKETS_MAX];
  for (int i = 0; i < sockets; i++) polls[i] = (struct pollfd){clients[i].fd, POLLIN, 0};
  poll(polls, (nfds_t)sockets, milliseconds);
}

/* A socket at 127.0.0.2 and up, with a connection id. */
static void introduce(struct client *client, int number) {
  struct sockaddr_in own = {.sin_family = AF_INET}, server = own;
  int room = RECEIVE_BUFFER;
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + (uint32_t)number);
  server.sin_port = htons((uint16_t)port);
  if (inet_pton(AF_INET, host, &server.sin_addr) != 1) fail("--host must be an IPv4 address");
  client->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  if (client->fd < 0 || bind(client->fd, (void *)&own, sizeof own) != 0) fail("no socket");
  if (connect(client->fd, (void *)&server, sizeof server) != 0) fail("cannot connect");
  /* The second is for root, whom the limit of the system does not bind. */
  setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  setsockopt(client->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  for (int attempt = 0; attempt < 50; attempt++) {
    struct pollfd one = {client->fd, POLLIN, 0};
    build(client, 0, CONNECT);
    send_burst(client, 1);
    if (poll(&one, 1, 100) == 1 && receive(client, now()) > 0) return;
  }
  fail("the server does not answer");
}

/* The load. */

/* Until `end`, or until `all` have been sent and answered or lost. */
static void keep_busy(double end, uint64_t all) {
  int share = window / sockets > 0 ? window / sockets : 1;
  int worth = share < 16 ? 1 : share / 4;
  int filling = strcmp(mode, "fill") == 0;
  for (double time = now(); time < end && received + lost < all; time = now()) {
    int progress = 0;
    for (int i = 0; i < sockets; i++) {
      struct client *client = &clients[i];
      int room = share - client->in_flight < BATCH ? share - client->in_flight : BATCH;
      if (room >= worth) {
        if (all - sent < (uint64_t)room) room = (int)(all - sent);
        for (int slot = 0; slot < room; slot++) {
          build(client, slot, filling ? ANNOUNCE : choose_kind());
        }
        progress += send_burst(client, room);
      }
      progress += receive(client, time);
    }
    if (progress == 0) wait_for_replies(1);
  }
}

int main(int argc, char **argv) {
  read_options(argc, argv);
  for (int i = 0; i < BATCH; i++) {
    out_vectors[i].iov_base = requests[i];
    in_vectors[i] = (struct iovec){replies[i], REPLY_SLOT};
    out[i].msg_hdr = (struct msghdr){.msg_iov = &out_vectors[i], .msg_iovlen = 1};
    in[i].msg_hdr = (struct msghdr){.msg_iov = &in_vectors[i], .msg_iovlen = 1};
  }
  for (int i = 0; i < sockets; i++) introduce(&clients[i], i);
  for (int kind = 0; kind < 3; kind++) answered[kind] = 0;
  sent = received = lost = errors = 0;

  double cpu = cpu_seconds(pid), own = own_seconds(), start = now();
  keep_busy(start + seconds, strcmp(mode, "fill") == 0 ? (uint64_t)peers : UINT64_MAX);
  double passed = now() - start;
  if (received == 0) fail("no answers");
  printf("rps=%.2f cpu_us=%.3f own_cpu_us=%.3f connects=%lu announces=%lu scrapes=%lu errors=%lu "
         "lost=%lu peers_per_announce=%.2f seconds=%.2f\n",
         received / passed, (cpu_seconds(pid) - cpu) * 1e6 / received,
         (own_seconds() - own) * 1e6 / received, answered[CONNECT], answered[ANNOUNCE],
         answered[SCRAPE], errors, lost,
         answered[ANNOUNCE] > 0 ? peer_bytes / 6.0 / answered[ANNOUNCE] : 0, passed);
  return 0;
}
