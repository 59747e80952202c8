/** Boxes of an .mp4: builds them, and makes an .mp4 with a wrong sample table from an ordinary one with its index at the end. */
const CONTAINERS = new Set(['moov', 'trak', 'mdia', 'minf', 'stbl', 'edts']);

interface SampleTable {
  /** Entries of the time-to-sample box, each of `count` samples with no time between them. */
  readonly entries: number;
  readonly count: number;
  /** What the track declares. */
  readonly mdhdSeconds: number;
}

/** Without its edit list and composition times; the media data stays where it is. */
export function withSampleTable(mp4: Buffer, table: SampleTable): Buffer {
  const boxes = boxesOf(mp4).map(({ type, body }) =>
    type === 'moov' ? rewritten(type, body, table) : boxOf(type, body),
  );
  return Buffer.concat(boxes);
}

function rewritten(type: string, body: Buffer, table: SampleTable): Buffer {
  if (type === 'edts' || type === 'ctts') return Buffer.alloc(0);
  if (CONTAINERS.has(type)) {
    return boxOf(type, Buffer.concat(boxesOf(body).map((box) => rewritten(box.type, box.body, table))));
  }
  if (type === 'stts') {
    const entry = Buffer.alloc(8);
    entry.writeUInt32BE(table.count, 0);
    const head = Buffer.alloc(8);
    head.writeUInt32BE(table.entries, 4);
    return boxOf(type, Buffer.concat([head, ...Array.from({ length: table.entries }, () => entry)]));
  }
  if (type === 'mdhd') {
    const changed = Buffer.from(body);
    changed.writeUInt32BE(table.mdhdSeconds * body.readUInt32BE(12), 16);
    return boxOf(type, changed);
  }
  return boxOf(type, body);
}

function boxesOf(bytes: Buffer): { readonly type: string; readonly body: Buffer }[] {
  const boxes: { type: string; body: Buffer }[] = [];
  for (let at = 0; at < bytes.length; at += bytes.readUInt32BE(at)) {
    const size = bytes.readUInt32BE(at);
    boxes.push({ type: bytes.toString('latin1', at + 4, at + 8), body: bytes.subarray(at + 8, at + size) });
  }
  return boxes;
}

export function boxOf(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length + 8, 0);
  head.write(type, 4, 'latin1');
  return Buffer.concat([head, body]);
}
