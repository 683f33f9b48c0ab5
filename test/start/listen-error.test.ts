import { describe, expect, test } from "bun:test";
import { EXIT_CONFIG, EXIT_FAILED } from "../../src/constants.ts";
import { StartError } from "../../src/host/start-error.ts";
import { listenError } from "../../src/start/listen-error.ts";

const listener = { host: "::", port: 6969 };

describe("a socket that cannot be bound", () => {
  test.each([
    ["EADDRINUSE", "udp port 6969 is already in use ([::]:6969)", "ss -lnp"],
    ["EACCES", "no permission for udp port 6969 ([::]:6969)", "SELinux"],
    ["EPERM", "no permission for udp port 6969 ([::]:6969)", "SELinux"],
    ["EMFILE", "the system has no room for a socket at [::]:6969 (EMFILE)", "ulimit -n"],
    ["ENOBUFS", "the system has no room for a socket at [::]:6969 (ENOBUFS)", "more memory"],
    ["EADDRNOTAVAIL", "this machine does not have the address [::]:6969", "ip addr"],
    ["errno 77", "cannot listen for udp on [::]:6969: errno 77", "TRACKER_UDP_ADDRESS"],
  ])("%s is a sentence with a remedy", (code, message, remedy) => {
    const error = listenError("udp", listener, { code });
    expect(error.message).toBe(message);
    expect(error.hint).toContain(remedy);
  });

  test("without permission for a port below 1024 names the capability", () => {
    const error = listenError("http", { host: "::", port: 80 }, { code: "EACCES" });
    expect(error.hint).toContain("CAP_NET_BIND_SERVICE");
  });

  test("on a missing interface is a sentence, with or without a code", () => {
    const zoned = { host: "fe80::1%nope", port: 1 };
    for (const cause of [{ code: "ENODEV" }, { code: "ENOENT" }, new Error("Failed to listen")]) {
      const error = listenError("http", zoned, cause);
      expect(error.message).toBe(
        "this machine has no interface nope, which [fe80::1%nope]:1 names",
      );
      expect(error.hint).toBe("see ip link, or set TRACKER_HTTP_ADDRESS to [::]:1");
    }
    expect(listenError("http", zoned, { code: "EADDRINUSE" }).message).toContain("in use");
    expect(listenError("http", listener, new Error("why")).message).toContain("Error: why");
  });

  test("names the variable of its protocol", () => {
    expect(listenError("http", listener, { code: "EADDRINUSE" }).hint).toContain(
      "TRACKER_HTTP_ADDRESS",
    );
  });
});

test("wrong settings end the start with 78, a port in use with 1", () => {
  expect(new StartError("there is no such file", "make one").exitCode).toBe(EXIT_CONFIG);
  expect(listenError("udp", listener, { code: "EADDRINUSE" }).exitCode).toBe(EXIT_FAILED);
});
