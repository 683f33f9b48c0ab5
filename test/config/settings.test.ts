/** The kinds of settings: what each reads, what it gives, and what it says about the rest. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";

import {
  bytes,
  choice,
  count,
  externals,
  headerName,
  listeners,
  networks,
  peerIdPrefixes,
  quote,
} from "../../src/config/settings.ts";
import {
  secret,
  seconds,
  showBytes,
  showListener,
  showSeconds,
} from "../../src/config/settings.ts";
import { hostName, hostNames, message, parseHostName, webUrl } from "../../src/config/settings.ts";
import { yesOrNo, type Kind } from "../../src/config/settings.ts";

function read<Value>(kind: Kind<Value>, text: string): Value {
  return kind.schema.parse(text);
}

function complaintOf(kind: Kind<unknown>, text: string): string {
  return kind.schema
    .safeParse(text)
    .error!.issues.map(({ message }) => message)
    .join(" | ");
}

describe("a time", () => {
  const kind = seconds(0, 700_000);

  test.each([
    ["0", 0],
    ["90", 90],
    ["90s", 90],
    ["30m", 1800],
    ["24h", 86_400],
    ["7d", 604_800],
    [" 5m ", 300],
    ["007", 7],
  ])("%p is %p seconds", (text, expected) => {
    expect(read(kind, text)).toBe(expected);
  });

  test.each(["", "m", "-1", "+1", "1.5h", "1h30m", "30 m", "30M", "1e3", "0x10", "٣", "ten"])(
    "%p is not one",
    (text) => {
      expect(complaintOf(kind, text)).toBe("which is not a time: write seconds, or 90s, 30m, 24h");
    },
  );

  test("must lie within its bounds, both of which are allowed", () => {
    const bounded = seconds(120, 86_400);
    expect(read(bounded, "2m")).toBe(120);
    expect(read(bounded, "24h")).toBe(86_400);
    expect(complaintOf(bounded, "119")).toBe("which is out of range: choose 2m to 24h");
    expect(complaintOf(bounded, "86401")).toBe("which is out of range: choose 2m to 24h");
    expect(complaintOf(bounded, "9".repeat(400))).toBe("which is out of range: choose 2m to 24h");
  });

  test("is shown in a form that reads as the same time", () => {
    fc.assert(
      fc.property(fc.nat(700_000), (value) => {
        expect(read(kind, showSeconds(value))).toBe(value);
      }),
    );
    expect(showSeconds(0)).toBe("0s");
    expect(showSeconds(90)).toBe("90s");
    expect(showSeconds(5400)).toBe("90m");
    expect(showSeconds(172_800)).toBe("48h");
  });
});

describe("a size", () => {
  const kind = bytes(0, 3 * 1024 ** 3);

  test.each([
    ["1232", 1232],
    ["64KiB", 65_536],
    ["8MiB", 8_388_608],
    ["1GiB", 1_073_741_824],
  ])("%p is %p bytes", (text, expected) => {
    expect(read(kind, text)).toBe(expected);
  });

  test.each(["8MB", "8M", "8mib", "8 MiB", "", "1.5GiB", "B", "8toString"])(
    "%p is not one",
    (text) => {
      expect(complaintOf(kind, text)).toBe(
        "which is not a size: write bytes, or 64KiB, 8MiB, 1GiB",
      );
    },
  );

  test("is shown in a form that reads as the same size", () => {
    fc.assert(
      fc.property(fc.nat(2 ** 31 - 1), (value) => {
        expect(read(kind, showBytes(value))).toBe(value);
      }),
    );
    expect(showBytes(1232)).toBe("1232");
    expect(showBytes(16 * 1024 ** 2)).toBe("16MiB");
  });
});

test("a count has digits only and lies within its bounds", () => {
  expect(read(count(0, 50), "50")).toBe(50);
  expect(complaintOf(count(0, 50), "51")).toBe("which is out of range: choose 0 to 50");
  expect(complaintOf(count(0, 50), "5m")).toBe("which is not a whole number: write digits only");
});

test("a choice is one of its words, in their case", () => {
  const kind = choice(["debug", "info", "warn"]);
  expect(read(kind, "info")).toBe("info");
  expect(complaintOf(kind, "Info")).toBe("which is not a choice: write debug, info or warn");
});

test.each([
  ["yes", true],
  ["TRUE", true],
  ["1", true],
  ["on", true],
  ["no", false],
  ["false", false],
  ["0", false],
  [" off ", false],
])("%p means %p", (text, expected) => {
  expect(read(yesOrNo(), text)).toBe(expected);
});

test("neither yes nor no is not guessed", () => {
  expect(complaintOf(yesOrNo(), "maybe")).toBe("which is neither yes nor no: write yes or no");
  expect(complaintOf(yesOrNo(), "")).toBe("which is neither yes nor no: write yes or no");
});

describe("listeners", () => {
  test.each([
    ["", []],
    [" ", []],
    ["[::]:6969", [{ host: "::", port: 6969 }]],
    ["*:80", [{ host: "::", port: 80 }]],
    ["localhost:0", [{ host: "127.0.0.1", port: 0 }]],
    [
      "0.0.0.0:1, [::1]:65535",
      [
        { host: "0.0.0.0", port: 1 },
        { host: "::1", port: 65_535 },
      ],
    ],
  ])("%p", (text, expected) => {
    expect(read(listeners(), text)).toEqual(expected);
  });

  test.each([
    ["6969", "which is not host:port, it needs a port: write [::]:6969 or 0.0.0.0:6969"],
    ["[::]", "which is not host:port, it needs a port: write [::]:6969 or 0.0.0.0:6969"],
    ["::1:80", "which is not host:port, IPv6 goes in brackets: write [::]:6969 or 0.0.0.0:6969"],
    [
      "udp://*:80",
      "which is not host:port, it begins with a scheme: write [::]:6969 or 0.0.0.0:6969",
    ],
    ["*:65536", "which has port 65536: ports end at 65535"],
    [":80", "which has no IP address before the port: write *:80, localhost:80 or [::]:80"],
    ["a.b:80", "which has no IP address before the port: write *:80, localhost:80 or [::]:80"],
    ["1.2.3:80", "which has no IP address before the port: write *:80, localhost:80 or [::]:80"],
    ["[1.2.3.4]:80", "which has no IPv6 address in its brackets: write [::]:80"],
    [
      "[fe80::1]:80",
      "which is link-local and must name its interface: write [fe80::1%eth0]:80 or the like",
    ],
    ["*:1,", 'where "" is no listener: remove a comma'],
    ["*:1 [::1]:2", 'which has a blank where a comma belongs: write "*:1,[::1]:2"'],
    ["*:1;\t[::1]:2", 'which has a semicolon where a comma belongs: write "*:1,[::1]:2"'],
    ["*:1\n[::1]:2", 'which has a blank where a comma belongs: write "*:1,[::1]:2"'],
    ["*:1;", 'which has a semicolon too many: write "*:1"'],
    ["*:1,*:2 *:3", 'where "*:2 *:3" has a blank where a comma belongs: write "*:2,*:3"'],
    ["*:1,*:1", 'where "*:1" is repeated: once will do'],
    ["*:1,x:2", 'where "x:2" has no IP address before the port: write *:2, localhost:2 or [::]:2'],
  ])("%p is refused", (text, expected) => {
    expect(complaintOf(listeners(), text)).toBe(expected);
  });

  test("all that is wrong with a list is said at once", () => {
    expect(complaintOf(listeners(), "*:99999,")).toBe(
      'where "*:99999" has port 99999: ports end at 65535' +
        ' | where "" is no listener: remove a comma',
    );
  });

  test("are shown as they are written", () => {
    expect(showListener({ host: "::1", port: 80 })).toBe("[::1]:80");
    expect(showListener({ host: "127.0.0.1", port: 80 })).toBe("127.0.0.1:80");
  });
});

test("networks are addresses, alone or with a prefix", () => {
  expect(read(networks(), "")).toEqual([]);
  expect(read(networks(), "10.0.0.0/8, ::1,2001:db8::/32")).toEqual([
    "10.0.0.0/8",
    "::1",
    "2001:db8::/32",
  ]);
});

test("nothing but commas separates networks, host names and beginnings of peer ids", () => {
  const belongs = (mark: string, list: string) =>
    `which has a ${mark} where a comma belongs: write "${list}"`;
  expect(complaintOf(networks(), "10.0.0.0/8 ::1")).toBe(belongs("blank", "10.0.0.0/8,::1"));
  expect(complaintOf(hostNames(), "a.b; c.d")).toBe(belongs("semicolon", "a.b,c.d"));
  expect(complaintOf(peerIdPrefixes(), "-XL;-TR")).toBe(belongs("semicolon", "-XL,-TR"));
  expect(complaintOf(peerIdPrefixes(), "-XL -TR")).toBe(belongs("blank", "-XL,-TR"));
  expect(read(peerIdPrefixes(), "-X%3b,-X%20")).toEqual(["-X%3b", "-X%20"]);
});

test("an external address is public, in its shortest form, and one of a family", () => {
  expect(read(externals(), "")).toEqual([]);
  expect(read(externals(), "203.0.113.9, 2001:DB9:0::9")).toEqual(["203.0.113.9", "2001:db9::9"]);
  expect(complaintOf(externals(), "192.168.1.1")).toBe(
    "which is not a public address: write the one that clients outside reach",
  );
  expect(complaintOf(externals(), "203.0.113.9,::1")).toStartWith('where "::1" is not a public');
  expect(complaintOf(externals(), "tracker.example")).toBe(
    "which is not an address: write one without port and network",
  );
  expect(complaintOf(externals(), "203.0.113.9/32")).toStartWith("which is not an address");
  expect(complaintOf(externals(), "203.0.113.9,203.0.113.10")).toBe(
    "which has two addresses of one family: keep one",
  );
});

test.each(["10.0.0.0/33", "::1/129", "10.0.0/8", "host", "10.0.0.0/8/8", "10.0.0.0/"])(
  "%p is not a network",
  (text) => {
    expect(complaintOf(networks(), text)).toBe(
      "which is not a network: write 10.0.0.0/8, 2001:db8::/32 or a single address",
    );
  },
);

test("the name of a header is read in any case and kept in lower case", () => {
  expect(read(headerName(), "X-Real-IP")).toBe("x-real-ip");
  expect(complaintOf(headerName(), "a b")).toBe(
    "which is not the name of a header: try x-forwarded-for",
  );
  expect(complaintOf(headerName(), "")).toContain("try x-forwarded-for");
});

test("a secret has at least 16 characters, not counting white space around it", () => {
  expect(read(secret(), "0123456789abcdef\n")).toBe("0123456789abcdef");
  const remedy = "characters, such as those of openssl rand -hex 32";
  const complaint = (least: number) => `which is too short: use at least ${least} ${remedy}`;
  expect(complaintOf(secret(), " 0123456789abcde ")).toBe(complaint(16));
  expect(complaintOf(secret(32), "0123456789abcdef0123456789abcde")).toBe(complaint(32));
});

test("a quoted value stays on one line and is not endless", () => {
  expect(quote('a"\n')).toBe('"a\\"\\n"');
  expect(quote("x".repeat(61))).toBe(`"${"x".repeat(60)}…"`);
  expect(quote("x".repeat(60))).toBe(`"${"x".repeat(60)}"`);
});

describe("host names", () => {
  test("are read without their case and their last dot; an empty text is an empty list", () => {
    const text = "Tracker.Example., [2001:DB8::1],127.0.0.1";
    expect(read(hostNames(), text)).toEqual(["tracker.example", "[2001:db8::1]", "127.0.0.1"]);
    expect(read(hostNames(), "")).toEqual([]);
  });

  test("beyond ASCII get the form that requests have", () => {
    const text = "Trackér.Example.,xn--nxasmq6b.example,日本語。jp";
    const ascii = ["xn--trackr-fva.example", "xn--nxasmq6b.example", "xn--wgv71a119e.jp"];
    expect(read(hostNames(), text)).toEqual(ascii);
    expect(read(hostName(), " faß.example ")).toBe("xn--fa-hia.example");
    expect(parseHostName("☃.example")).toEqual({ host: "xn--n3h.example" });
    expect(parseHostName("☃ .example")).toHaveProperty("problem");
  });

  const long = "x".repeat(63);

  test("have parts of up to 63 characters, and 253 in all", () => {
    const longest = `${long}.${long}.${long}.${long.slice(2)}`;
    expect(read(hostNames(), longest)).toEqual([longest]);
  });

  test.each(
    [
      [
        "http://a.example",
        "a.example:6969",
        "a/b",
        "a..b",
        "2001:db8::1",
        "ä/b",
        "ä:80",
        `${"ä".repeat(80)}.example`,
      ],
      [`${long}x.example`, `${long}.${long}.${long}.${long}`],
    ].flat(),
  )("%p is refused", (text) => {
    expect(complaintOf(hostNames(), text)).toBe(
      "which is not a host name: write it without scheme and port, like tracker.example.org",
    );
  });
});

describe("a web page", () => {
  test.each(["https://example.org/", "http://[::1]:80/a?b#c"])("%p is one", (text) => {
    expect(read(webUrl(), ` ${text} `)).toBe(text);
  });

  test("beyond ASCII gets the form that a header can have", () => {
    expect(read(webUrl(), "https://trackér.example/ü?ö")).toBe(
      "https://xn--trackr-fva.example/%C3%BC?%C3%B6",
    );
    expect(complaintOf(webUrl(), "https://ä b/")).toContain("not a web page");
  });

  test.each(["", "example.org", "ftp://example.org", "https://", "https://a b", "http://a\r\nb"])(
    "%p is refused",
    (text) => {
      expect(complaintOf(webUrl(), text)).toBe(
        "which is not a web page: write a URL such as https://example.org/",
      );
    },
  );
});

describe("a message", () => {
  test("is any ASCII that can be seen, up to its length", () => {
    expect(read(message(9), " use: UDP! ")).toBe("use: UDP!");
    expect(read(message(9), "")).toBe("");
    expect(complaintOf(message(9), "use: UDP!!")).toBe(
      "which is too long: write at most 9 characters",
    );
  });

  test.each(["ä", "\u2028"])("%p is refused, as more than ASCII", (text) => {
    expect(complaintOf(message(9), `x${text}x`)).toBe(
      "which has more than plain ASCII in it: write it without accents",
    );
  });

  test.each(["a\nb", "\r\n", "\t", "\u0007", "\u007f"])("%p is refused, as no line", (text) => {
    expect(complaintOf(message(9), `x${text}x`)).toBe(
      "which has a line end or the like in it: write it on one line",
    );
  });
});
