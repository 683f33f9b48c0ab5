/** All campaigns that need no socket, in the order they are run. */
import { answerCampaign, figuresCampaign, replyCampaign } from "./answers.ts";
import { clusterCampaign } from "./cluster-messages.ts";
import { guessCampaign, journeyCampaign } from "./datagrams.ts";
import { hashListCampaign, networkListCampaign } from "./lists.ts";
import { Random } from "./random.ts";
import { recordsCampaign } from "./records.ts";
import { snapshotsCampaign } from "./snapshots.ts";
import {
  addressCampaign,
  type Campaign,
  handlerCampaign,
  headerCampaign,
  queryCampaign,
} from "./readers.ts";
import { headCampaign } from "./heads.ts";
import { configCampaign, valueCampaign } from "./values.ts";
import { webSocketMessageCampaign } from "./web-socket-messages.ts";
import { webSocketCampaign } from "./web-sockets.ts";

/** Some of those that the senders of datagrams have. */
const OWN = Array.from({ length: 50 }, (_, i) => [
  `42.0.0.${i}`,
  `2a00:${i.toString(16)}::`,
]).flat();

/** Inputs between two looks at the clock. */
const ROUND = 8192;

export function campaigns(): Campaign[] {
  return [
    headCampaign(),
    queryCampaign(),
    headerCampaign(),
    addressCampaign(),
    journeyCampaign("as it is by default", {}),
    journeyCampaign("short replies, private networks refused", {
      replyBytes: 508,
      scrapeMax: 10,
      refusePrivate: true,
    }),
    journeyCampaign("the ip field believed", { allowIpField: true }),
    journeyCampaign("from our own addresses, too", {}, OWN),
    guessCampaign(),
    handlerCampaign(),
    hashListCampaign(),
    networkListCampaign(),
    valueCampaign(),
    configCampaign(),
    answerCampaign(),
    figuresCampaign(),
    replyCampaign(),
    recordsCampaign(),
    snapshotsCampaign(),
    clusterCampaign(),
    webSocketCampaign(),
    webSocketMessageCampaign(),
  ];
}

/** What a campaign did. */
export interface Effort {
  name: string;
  inputs: number;
  /** Of processor time where it is known, so that a busy machine changes nothing. */
  seconds: number;
}

/**
 * Runs a campaign for about `seconds`, and until it had `inputsMin`; rejects with the seed and the
 * input that broke it.
 */
export async function runFor(
  campaign: Campaign,
  seed: number,
  seconds: number,
  inputsMin = 0,
): Promise<Effort> {
  const random = new Random(seed, campaign.name);
  const start = performance.now();
  const before = process.cpuUsage();
  let inputs = 0;
  do {
    try {
      await campaign.run(random, ROUND);
    } catch (error) {
      throw new Error(`${campaign.name}, seed ${seed}: ${(error as Error).message}`);
    }
    inputs += ROUND;
  } while (performance.now() - start < seconds * 1000 || inputs < inputsMin);
  const { user, system } = process.cpuUsage(before);
  return { name: campaign.name, inputs, seconds: (user + system) / 1e6 };
}

/** One line about an effort. */
export function showEffort({ name, inputs, seconds }: Effort): string {
  const rate = Math.round(inputs / seconds).toLocaleString("en");
  const total = inputs.toLocaleString("en").padStart(12);
  return `${name.padEnd(56)}${total} inputs${rate.padStart(12)}/s`;
}
