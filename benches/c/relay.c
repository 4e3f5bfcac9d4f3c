/* The plain relay: one connection in, one out, a blocking loop of one read and one whole write. The yardstick of
 * "TCP in -> TCP out".   cc -O2 -Wall -Wextra -o relay relay.c */
#include "common.h"

int main(int argc, char **argv) {
    static const char *const names[] = {"--port=", "--destination=", NULL};
    check_arguments(argc, argv, names, "relay --destination PORT [--port N]");
    int destination = (int)number_of(argc, argv, "--destination", 0);
    char *buffer = memory(READ_BYTES);
    int in = accept_one((int)number_of(argc, argv, "--port", 0));
    int out = connect_to(destination);
    uint64_t bytes = 0;
    size_t got;
    double began = 0, ended = 0;
    while ((got = read_some(in, buffer, READ_BYTES, 0)) > 0) {
        if (began == 0) began = now();
        if (!write_all(out, buffer, got)) fail("the destination has gone");
        bytes += got;
        ended = now();
    }
    close(out);
    printf("{\"bytes\":%llu,\"seconds\":%.6f,\"cpu_seconds\":%.6f,\"peak_resident_bytes\":%ld}\n",
           (unsigned long long)bytes, ended - began, cpu_seconds(), peak_resident_bytes());
    return 0;
}
