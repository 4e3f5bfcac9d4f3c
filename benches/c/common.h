/* What the programs of the benchmarks share: options, loopback sockets, clocks. Linux, IPv4 on 127.0.0.1 only.
 * Every program ends with exit status 0 after its JSON line, 1 when the system refuses something, 2 on wrong usage. */
#ifndef AQUEDUCT_BENCH_COMMON_H
#define AQUEDUCT_BENCH_COMMON_H
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READ_BYTES (256 << 10)

static inline void fail(const char *what) {
    perror(what);
    exit(1);
}

static inline void *memory(size_t bytes) {
    void *block = malloc(bytes);
    if (block == NULL) fail("malloc");
    return block;
}

/* Whether `--name` stands among the arguments. */
static inline bool has_flag(int argc, char **argv, const char *name) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0) return true;
    return false;
}

/* The text after `--name`, or NULL. */
static inline const char *text_of(int argc, char **argv, const char *name) {
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0) return argv[i + 1];
    return NULL;
}

static inline double number_of(int argc, char **argv, const char *name, double otherwise) {
    const char *text = text_of(argc, argv, name);
    if (text == NULL) return otherwise;
    char *end;
    double value = strtod(text, &end);
    if (end != text && *end == '\0' && value >= 0) return value;
    fprintf(stderr, "%s %s: expected a number\n", name, text);
    exit(2);
}

/* Ends with the usage when an argument is not in the list of names; names that end in '=' take a value. */
static inline void check_arguments(int argc, char **argv, const char *const *names, const char *usage) {
    for (int i = 1; i < argc; i++) {
        const char *const *name = names;
        size_t length = strlen(argv[i]);
        while (*name != NULL && (strncmp(*name, argv[i], length) != 0 || strcspn(*name, "=") != length)) name++;
        bool takes_value = *name != NULL && strchr(*name, '=') != NULL;
        if (*name == NULL || (takes_value && ++i == argc)) {
            fprintf(stderr, "usage: %s\n", usage);
            exit(2);
        }
    }
}

static inline double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* User and system time of this process. */
static inline double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static inline long peak_resident_bytes(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss * 1024;
}

static inline struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* Listens, prints `listening PORT`, and returns the first connection. */
static inline int accept_one(int port) {
    struct sockaddr_in address = loopback(port);
    socklen_t bytes = sizeof address;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0) fail("socket");
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, bytes) < 0) fail("bind");
    if (listen(listener, 1) < 0) fail("listen");
    if (getsockname(listener, (struct sockaddr *)&address, &bytes) < 0) fail("getsockname");
    printf("listening %d\n", ntohs(address.sin_port));
    fflush(stdout);
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) fail("accept");
    close(listener);
    return fd;
}

static inline int connect_to(int port) {
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) fail("socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
    /* Without it a small write may wait for the acknowledgement of the one before. */
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/* Reads once, at most `bytes`; 0 at the end of the stream. */
static inline size_t read_some(int fd, void *to, size_t bytes, int flags) {
    ssize_t got;
    do got = recv(fd, to, bytes, flags);
    while (got < 0 && errno == EINTR);
    if (got < 0) fail("recv");
    return (size_t)got;
}

/* Writes all of it; false when the peer has gone. */
static inline bool write_all(int fd, const char *from, size_t bytes) {
    while (bytes > 0) {
        ssize_t sent = send(fd, from, bytes, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) return false;
        if (sent < 0) fail("send");
        from += sent;
        bytes -= (size_t)sent;
    }
    return true;
}

static inline uint64_t count_lines(const char *from, size_t bytes) {
    uint64_t lines = 0;
    const char *end = from + bytes;
    while ((from = memchr(from, '\n', (size_t)(end - from))) != NULL) {
        lines++;
        from++;
    }
    return lines;
}
#endif
