/** A file is replaced completely or not at all. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
} from "node:fs";
import { readdirSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type Fill, replaceFile, writePrivate } from "../../src/access/replace-file.ts";
import { text } from "./fixture.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "buntracker-replace-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function fileOf(name: string, words = "old"): string {
  const path = join(folder, name);
  writeFileSync(path, words);
  return path;
}
const read = (path: string) => readFileSync(path, "utf8");
const filling =
  (...pieces: string[]): Fill =>
  async (_old, put) => {
    for (const piece of pieces) await put(text(piece));
  };

test("the new bytes replace the old ones, and no other file is left", async () => {
  const path = fileOf("plain");
  await replaceFile(path, filling("new"));
  expect(read(path)).toBe("new");
  expect(existsSync(`${path}.new`)).toBe(false);
});

test("pieces are written in order", async () => {
  const path = fileOf("pieces");
  await replaceFile(path, filling("one ", "two ", "three"));
  expect(read(path)).toBe("one two three");
});

test("mode and owner are kept", async () => {
  const path = fileOf("owned");
  chmodSync(path, 0o640);
  // Only root can give a file away; for others it is the same owner as before.
  const [uid, gid] =
    process.getuid!() === 0 ? [65534, 65534] : [process.getuid!(), process.getgid!()];
  chownSync(path, uid, gid);
  await replaceFile(path, filling("new"));
  const after = statSync(path);
  expect([after.mode & 0o7777, after.uid, after.gid]).toEqual([0o640, uid, gid]);
});

test("a symbolic link stays a link", async () => {
  const path = fileOf("target");
  const link = join(folder, "link");
  symlinkSync(path, link);
  await replaceFile(link, filling("new"));
  expect(lstatSync(link).isSymbolicLink()).toBe(true);
  expect(read(path)).toBe("new");
});

test("a circle of links is an error", async () => {
  const link = join(folder, "circle");
  symlinkSync(link, link);
  await expect(replaceFile(link, filling("new"))).rejects.toThrow("ELOOP");
});

/** Only root can make links that belong to another user. */
describe.if(process.getuid!() === 0)("a symbolic link of another user", () => {
  const refusal = "there is a symbolic link of another user";

  test("in place of the file is not followed, and its target stays", async () => {
    const path = fileOf("precious");
    const link = join(folder, "foreign");
    symlinkSync(path, link);
    lchownSync(link, 65534, 65534);
    await expect(replaceFile(link, filling("new"))).rejects.toThrow(refusal);
    expect(read(path)).toBe("old");
  });

  test("in a parent folder, or behind our own link, is not followed", async () => {
    const place = join(folder, "place");
    mkdirSync(place);
    writeFileSync(join(place, "list"), "old");
    const above = join(folder, "above");
    symlinkSync(place, above);
    lchownSync(above, 65534, 65534);
    const ours = join(folder, "ours");
    symlinkSync("above/list", ours);
    for (const path of [join(above, "list"), ours]) {
      await expect(replaceFile(path, filling("new"))).rejects.toThrow(refusal);
    }
    expect(read(join(place, "list"))).toBe("old");
  });
});

test("a file that becomes a link during the change gives neither bytes nor mode", async () => {
  const path = fileOf("swapped");
  const secret = fileOf("secret", "secret");
  chmodSync(path, 0o644);
  await replaceFile(
    path,
    async (old, put) => {
      await put((await old.readFile()) as Uint8Array);
      await put(text(" new"));
    },
    async () => {
      rmSync(path);
      symlinkSync(secret, path);
      return true;
    },
  );
  expect([read(path), read(secret)]).toEqual(["old new", "secret"]);
  expect(lstatSync(path).isSymbolicLink()).toBe(false);
});

test("a file that needs no change stays", async () => {
  const path = fileOf("same");
  const before = statSync(path).ino;
  expect(await replaceFile(path, filling("new"), async () => false)).toBe(false);
  expect([read(path), statSync(path).ino]).toEqual(["old", before]);
});

test("a file left by a crash is no obstacle", async () => {
  const path = fileOf("crashed");
  utimesSync(fileOf("crashed.new", "half of"), 1, 1);
  await replaceFile(path, filling("new"));
  expect(read(path)).toBe("new");
});

test("a missing file is not created", async () => {
  await expect(replaceFile(join(folder, "missing"), filling("new"))).rejects.toThrow("ENOENT");
});

describe("a private file", () => {
  test("is made, and is its owner's alone, whatever was there", async () => {
    const path = join(folder, "private");
    for (const word of ["first", "second"]) {
      await writePrivate(path, (put) => put(text(word)));
      expect([read(path), statSync(path).mode & 0o777]).toEqual([word, 0o600]);
      chmodSync(path, 0o666);
    }
    expect(existsSync(`${path}.new`)).toBe(false);
  });

  test("stays as it was if the new one fails, and is not made", async () => {
    const path = join(folder, "never");
    const fails = () => writePrivate(path, () => Promise.reject(new Error("failed")));
    await expect(fails()).rejects.toThrow("failed");
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, "old");
    await expect(fails()).rejects.toThrow("failed");
    expect([read(path), existsSync(`${path}.new`)]).toEqual(["old", false]);
  });

  test("is made where a link points to, also if nothing is there yet", async () => {
    const link = join(folder, "private-link");
    symlinkSync(join(folder, "private-target"), link);
    await writePrivate(link, (put) => put(text("new")));
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(read(join(folder, "private-target"))).toBe("new");
  });

  test.if(process.platform === "linux")(
    "is open while it is replaced, so that its bytes are freed beside the event loop",
    async () => {
      const path = join(folder, "freed");
      writeFileSync(path, "old");
      const isOpen = (): boolean =>
        readdirSync("/proc/self/fd").some((fd) => {
          try {
            return readlinkSync(`/proc/self/fd/${fd}`) === path;
          } catch {
            return false;
          }
        });
      let open = false;
      await writePrivate(path, async () => void (open = isOpen()));
      expect([open, isOpen()]).toEqual([true, false]);
    },
  );

  test("that two programs write is whole: the second one waits for the first", async () => {
    const path = join(folder, "shared");
    const { promise: rest, resolve: goOn } = Promise.withResolvers<void>();
    const first = writePrivate(path, async (put) => {
      await put(text("the "));
      await rest;
      await put(text("first"));
    });
    while (!existsSync(`${path}.new`)) await Bun.sleep(1);
    const other = writePrivate(path, (put) => put(text("the second")));
    await Bun.sleep(250);
    goOn();
    await first;
    expect(read(path)).toBe("the first");
    await other;
    expect([read(path), existsSync(`${path}.new`)]).toEqual(["the second", false]);
  });

  test("does not wait long for a draft that is touched and never grows", async () => {
    const path = join(folder, "touched");
    writeFileSync(`${path}.new`, "of nobody");
    const touching = setInterval(() => {
      const seconds = Date.now() / 1000;
      if (existsSync(`${path}.new`)) utimesSync(`${path}.new`, seconds, seconds);
    }, 50);
    const begun = performance.now();
    await writePrivate(path, (put) => put(text("ours")));
    clearInterval(touching);
    expect(performance.now() - begun).toBeWithin(1900, 6000);
    expect([read(path), existsSync(`${path}.new`)]).toEqual(["ours", false]);
  });

  test("is never the half draft of a program that took the own one for left", async () => {
    const path = join(folder, "taken");
    const { promise: rest, resolve: goOn } = Promise.withResolvers<void>();
    const first = writePrivate(path, async (put) => {
      await put(text("half of the first"));
      await rest;
    });
    while (!existsSync(`${path}.new`)) await Bun.sleep(1);
    utimesSync(`${path}.new`, 1, 1);
    const { promise: ends, resolve: end } = Promise.withResolvers<void>();
    const other = writePrivate(path, async (put) => {
      await put(text("the second"));
      goOn();
      await ends;
    });
    await expect(first).rejects.toThrow("another program writes the same file");
    expect([existsSync(path), existsSync(`${path}.new`)]).toEqual([false, true]);
    end();
    await other;
    expect([read(path), existsSync(`${path}.new`)]).toEqual(["the second", false]);
  });
});

describe("when it cannot be written", () => {
  test("the old file does not change", async () => {
    const path = fileOf("blocked");
    mkdirSync(`${path}.new`);
    writeFileSync(join(`${path}.new`, "x"), "");
    await expect(replaceFile(path, filling("new"))).rejects.toThrow();
    expect(read(path)).toBe("old");
  });

  test("because the new bytes fail, the old file does not change", async () => {
    const path = fileOf("unread");
    const fill: Fill = async (_old, put) => {
      await put(text("half"));
      throw new Error("unread");
    };
    await expect(replaceFile(path, fill)).rejects.toThrow("unread");
    expect([read(path), existsSync(`${path}.new`)]).toEqual(["old", false]);
  });

  test("because the disk is full, the old file stays and the new one is removed", async () => {
    const disk = join(folder, "disk");
    mkdirSync(disk);
    const mount = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]);
    // Only root can make a small disk; others have a quota of none on the device that is full.
    if (mount.exitCode !== 0) {
      expect(() => writeFileSync("/dev/full", "x")).toThrow("ENOSPC");
      return;
    }
    try {
      const path = join(disk, "list");
      writeFileSync(path, "old");
      expect(await codeOf(replaceFile(path, (_old, put) => put(new Uint8Array(200_000))))).toBe(
        "ENOSPC",
      );
      expect(read(path)).toBe("old");
      expect(existsSync(`${path}.new`)).toBe(false);
      await replaceFile(path, filling("new"));
      expect(read(path)).toBe("new");
    } finally {
      Bun.spawnSync(["umount", disk]);
    }
  });
});

async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error.code,
  );
}
