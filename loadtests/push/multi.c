/* The reference for push over HTTP/2: the plainest fast loop over libcurl's multi interface.
 *
 *     multi URL CA_FILE REQUESTS CONCURRENCY BYTES
 *
 * One thread, one multi handle, CONCURRENCY easy handles that are used again and again, HTTP/2 over TLS with at most four
 * connections. Each request is a POST of BYTES with the header fields of APNs, each answer is read to its end. Prints one
 * line of JSON; exits with 1 when an answer is not 200.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static size_t swallow(char *bytes, size_t size, size_t count, void *context) {
    (void)bytes;
    (void)context;
    return size * count;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc != 6) return 2;
    long requests = atol(argv[3]), concurrency = atol(argv[4]), bytes = atol(argv[5]);
    char *body = malloc(bytes);
    memset(body, 'x', bytes);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURLM *multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, 4L);
    struct curl_slist *headers = NULL;
    const char *lines[] = {"Content-Type: application/json", "apns-topic: com.example.app", "apns-push-type: alert",
                           "apns-id: 01234567-89ab-8def-8123-456789abcdef", "apns-priority: 10",
                           "apns-collapse-id: 0123456789abcdef0123456789abcdef", "Authorization: bearer x", "Expect:"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) headers = curl_slist_append(headers, lines[i]);
    long started = 0, done = 0, wrong = 0;
    double begin = now();
    for (; started < requests && started < concurrency; started++) {
        CURL *easy = curl_easy_init();
        curl_easy_setopt(easy, CURLOPT_URL, argv[1]);
        curl_easy_setopt(easy, CURLOPT_CAINFO, argv[2]);
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
        curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, bytes);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, swallow);
        curl_multi_add_handle(multi, easy);
    }
    while (done < requests) {
        int running, left;
        if (curl_multi_perform(multi, &running) != CURLM_OK) return 1;
        for (CURLMsg *message; (message = curl_multi_info_read(multi, &left));) {
            if (message->msg != CURLMSG_DONE) continue;
            CURL *easy = message->easy_handle;
            long status = 0;
            curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
            if (message->data.result != CURLE_OK || status != 200) wrong++;
            done++;
            curl_multi_remove_handle(multi, easy);
            if (started < requests) {
                started++;
                curl_multi_add_handle(multi, easy);
            } else {
                curl_easy_cleanup(easy);
            }
        }
        if (done < requests && curl_multi_poll(multi, NULL, 0, 1000, NULL) != CURLM_OK) return 1;
    }
    double seconds = now() - begin;
    printf("{\"answered\": %ld, \"seconds\": %f, \"rate\": %f}\n", done - wrong, seconds, (done - wrong) / seconds);
    return wrong > 0;
}
