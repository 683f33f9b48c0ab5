/** Statistics and exports of the compiled binary. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { decodeDictionary } from "./bencode.ts";
import { announceRequest, concat, openDatagrams } from "./datagrams.ts";
import { exchangeTcp, readResponses } from "./raw-http.ts";
import { startProcess, startTracker, type Tracker } from "./harness.ts";

const HASH = "%7E%99%03Q%7D%D7%92%13%0E%2Az%1A%E9%A6%2C%F2%DE%E3%CB%80";
const HEX = "7E9903517DD792130E2A7A1AE9A62CF2DEE3CB80";
const ANNOUNCE = `announce?info_hash=${HASH}&peer_id=M5-0-9--04ced8af43f0&port=23004&left=0`;

const start = (env: Record<string, string> = {}): Promise<Tracker> =>
  startTracker({ env: { TRACKER_ADMIN_ADDRESS: "", ...env } });

function ask(tracker: Tracker, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`http://127.0.0.1:${tracker.port}/${path}`, { redirect: "manual", ...init });
}

const read = async (tracker: Tracker, path: string, init: RequestInit = {}): Promise<string> =>
  (await ask(tracker, path, init)).text();

test("announces over both transports are counted in the statistics", async () => {
  await using tracker = await start();
  await read(tracker, ANNOUNCE.replace("left=0", "left=1"));
  await read(tracker, `${ANNOUNCE}&event=completed&numwant=7`);
  using client = await openDatagrams("127.0.0.1", tracker.port);
  const connectionId = await client.connect();
  const infoHash = Buffer.from(HEX, "hex");
  const path = new TextEncoder().encode("/free/announce");
  const options = concat(new Uint8Array([2, path.length]), path);
  await client.exchange(
    concat(announceRequest({ connectionId, infoHash, port: 1, numWant: 9 }), options),
  );
  expect(await read(tracker, "stats")).toBe("2\n1\nopentracker serving 1 torrents\nopentracker");
  expect(await read(tracker, "stats?mode=top10")).toBe(
    `Top 10 torrents by peers:\n\t2\t${HEX}\nTop 10 torrents by seeds:\n\t1\t${HEX}\n` +
      `Top 10 torrents by leechers:\n\t1\t${HEX}\n`,
  );
  const wanted = await read(tracker, "stats?mode=numwants");
  expect(wanted).toContain("\n007 => 1\n008 => 0\n009 => 1\n");
  expect(await read(tracker, "stats?mode=s24s")).toContain("/24:\n00000002: 127.0.0.0\n\n");
  const hosts = await read(tracker, "stats?mode=hosts");
  expect(hosts).toContain(`\t2\t127.0.0.1:${tracker.port}\n`);
  expect(hosts).toEndWith("\t2\t/announce\n\t1\t/free/\n");
  const everything = await read(tracker, "stats?mode=everything");
  expect(everything).toContain("<udp>\n      <overall>3</overall>\n      <connect>2</connect>");
  expect(everything).toContain("<completed>\n    <count>1</count>");
});

test("an export has the same content plain, as gzip and as zstd", async () => {
  await using tracker = await start({ TRACKER_FULLSCRAPE_INTERVAL: "0" });
  await read(tracker, ANNOUNCE);
  const line = `${HEX}:1:0\n`;
  for (const accepted of ["identity", "gzip", "zstd", "gzip;q=0", "zstd;q=0, gzip;q=0.000"]) {
    const headers = { "Accept-Encoding": accepted };
    const answer = await ask(tracker, "stats?mode=tpbs&format=txt", { headers });
    const encoding = answer.headers.get("content-encoding");
    expect(encoding).toBe(accepted === "gzip" || accepted === "zstd" ? accepted : null);
    expect(await answer.text()).toBe(line);
  }
  const { files } = decodeDictionary(await (await ask(tracker, "scrape")).bytes());
  expect(Object.values(files as object)).toEqual([{ complete: 1, downloaded: 0, incomplete: 0 }]);
  expect(await read(tracker, "stats?mode=fscr")).toStartWith("6000\n");
});

test("a network has a full scrape once in an interval", async () => {
  await using tracker = await start({ TRACKER_FULLSCRAPE_INTERVAL: "10m" });
  expect((await ask(tracker, "scrape")).status).toBe(200);
  const again = await ask(tracker, "scrape");
  expect(again.status).toBe(429);
  expect(Number(again.headers.get("retry-after"))).toBeGreaterThan(590);
});

test("other networks may see neither statistics nor exports", async () => {
  const env = { TRACKER_STATS_NETWORKS: "192.0.2.0/24", TRACKER_FULLSCRAPE_NETWORKS: "" };
  await using tracker = await start({ ...env, TRACKER_TRUSTED_PROXIES: "127.0.0.1" });
  const from = (address: string) => ({ headers: { "X-Forwarded-For": address } });
  expect((await ask(tracker, "stats", from("203.0.113.1"))).status).toBe(403);
  expect((await ask(tracker, "stats", from("192.0.2.1"))).status).toBe(200);
  expect((await ask(tracker, "stats?mode=statedump", from("192.0.2.1"))).status).toBe(403);
  expect(await read(tracker, "scrape", from("192.0.2.1"))).toStartWith("d14:failure reason");
});

test("without networks for statistics, this machine may not see them either", async () => {
  await using tracker = await start({
    TRACKER_STATS_NETWORKS: "",
    TRACKER_FULLSCRAPE_NETWORKS: "",
  });
  expect((await ask(tracker, "stats")).status).toBe(403);
});

test("a dump restores the download counters of another run, however often", async () => {
  const folder = mkdtempSync(join(tmpdir(), "buntracker-dump-"));
  try {
    const file = join(folder, "dump");
    let dump = `${HEX}:29354321:17\n`;
    for (let run = 0; run < 3; run++) {
      writeFileSync(file, dump);
      await using tracker = await start({ TRACKER_STATE_IMPORT: file });
      dump = await read(tracker, "stats?mode=statedump");
      expect(dump).toMatch(new RegExp(`^${HEX}:[0-9]+:17\n$`));
      expect(await read(tracker, `scrape?info_hash=${HASH}`)).toContain("10:downloadedi17e");
    }
    const missing = startProcess({ env: { TRACKER_STATE_IMPORT: join(folder, "none") } });
    expect(await missing.exited(3000)).toBe(78);
    expect(missing.stderr).toContain("is not there");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("announces come under allowed host names only, and carry the warning", async () => {
  const env = { TRACKER_ALLOW_HOSTS: "127.0.0.1", TRACKER_WARNING_MESSAGE: "use UDP" };
  await using tracker = await start(env);
  expect(await read(tracker, ANNOUNCE)).toEndWith("15:warning message7:use UDPe");
  const free = await read(tracker, ANNOUNCE, { headers: { Host: "free.rider" } });
  expect(free).toStartWith("d14:failure reason");
  expect(free).toContain("host name");
  expect(await read(tracker, "stats?mode=hosts")).toContain("\t1\tfree.rider\n");
});

test("a request for the root is redirected to the operator's page", async () => {
  await using tracker = await start({ TRACKER_REDIRECT_URL: "https://example.org/x" });
  const answer = await ask(tracker, "");
  expect([answer.status, answer.headers.get("location")]).toEqual([302, "https://example.org/x"]);
});

const RAW = Buffer.from(HEX, "hex").toString("latin1");
const FORMATS: Record<string, string> = {
  ben: `d5:filesd20:${RAW}d8:completei1e10:downloadedi0e10:incompletei0eeee`,
  bin: `${RAW}\0\0\0\x01\0\0\0\0`,
  txt: `${HEX}:1:0\n`,
  txtp: `${HEX}:1:0:0\n`,
  url: "~%99%03Q%7d%d7%92%13%0e%2az%1a%e9%a6%2c%f2%de%e3%cb%80:1:0\n",
};

test("every mode and format of opentracker is answered", async () => {
  await using tracker = await start({ TRACKER_FULLSCRAPE_INTERVAL: "0" });
  await read(tracker, ANNOUNCE);
  const modes =
    "peer conn scrp udp4 tcp4 fscr torr completed syncs everything " +
    "top10 top100 renew herr version s24s woodpeckers numwants hosts";
  for (const mode of modes.split(" ")) {
    const answer = await ask(tracker, `stats?mode=${mode}`);
    expect([mode, answer.status]).toEqual([mode, 200]);
    expect((await answer.text()).length).toBeGreaterThan(3);
  }
  for (const [format, expected] of Object.entries(FORMATS)) {
    const answer = await ask(tracker, `stats?mode=tpbs&format=${format}`);
    expect(Buffer.from(await answer.bytes()).toString("latin1")).toBe(expected);
  }
});

test("the errors of HTTP are counted under the names of their statuses", async () => {
  await using tracker = await start({ TRACKER_FULLSCRAPE_NETWORKS: "" });
  const { port } = tracker;
  const send = async (text: string): Promise<number> => {
    const answer = await exchangeTcp({ host: "127.0.0.1", port, pieces: [Buffer.from(text)] });
    return readResponses(answer.bytes, answer.closed)[0]!.status;
  };
  const get = (target: string) => send(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  expect(await send("HELLO\r\n\r\n")).toBe(400);
  expect(await send("GET / HTTP/1.1\r\n\r\n")).toBe(400);
  expect(await send("GET / HTTP/3.0\r\n\r\n")).toBe(505);
  expect(await send("POST /announce HTTP/1.1\r\nHost: localhost\r\n\r\n")).toBe(405);
  expect(await get("/stats?mode=nonsense")).toBe(400);
  expect(await get("/stats?mode=statedump")).toBe(403);
  expect(await get("/nothing")).toBe(404);
  expect(await get("/nothing")).toBe(404);
  expect(await read(tracker, "stats?mode=herr")).toBe(
    "302 RED 0\n400 ... 4\n400 PAR 1\n400 COM 0\n403 IP  1\n404 INV 2\n500 SRV 0\n",
  );
  const everything = await read(tracker, "stats?mode=everything");
  expect(everything).toContain('<count code="400 Parse Error">4</count>');
  // A wrong mode is no page that was shown, or it would count twice.
  expect(everything).toContain("<accept>9</accept>");
});

test("an announce to the URL of the statistics fails in bencode, with the right path", async () => {
  await using tracker = await start();
  const answer = await ask(tracker, ANNOUNCE.replace("announce?", "stats?"));
  expect(answer.status).toBe(200);
  expect(decodeDictionary(await answer.bytes())["failure reason"]).toContain("/announce");
  expect(await read(tracker, "stats?mode=torr")).toStartWith("0\n");
});

test("a warning is in every announce reply over HTTP, also to a peer that stops", async () => {
  await using tracker = await start({ TRACKER_WARNING_MESSAGE: "moving on Friday" });
  for (const event of ["started", "completed", "", "stopped"]) {
    expect(await read(tracker, `${ANNOUNCE}&event=${event}`)).toEndWith(
      "15:warning message16:moving on Fridaye",
    );
  }
  expect(await read(tracker, `scrape?info_hash=${HASH}`)).not.toContain("warning");
});

test("a mode that opentracker hangs on is a sentence", async () => {
  await using tracker = await start();
  const answer = await ask(tracker, "stats?mode=tpbs");
  expect([answer.status, await answer.text()]).toEqual([
    400,
    "mode=tpbs needs a format: ben, bin, txt, txtp, url\n",
  ]);
});
