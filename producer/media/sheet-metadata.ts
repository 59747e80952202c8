/** What the metadata of a contact sheet says of its cells, so that single pictures can be cut out. PURE. */
import { z } from 'zod';

import { FRAMES_MAX } from '../../shared/contract/limits.ts';

export interface SheetCells {
  /** The frame of each cell. */
  readonly frames: readonly number[];
  /** Of a cell, which shows the frame before and after the model side by side. */
  readonly width: number;
  readonly height: number;
}

const side = z.coerce.number().int().min(2).max(4096);
const metadata = z.object({
  frames: z
    .string()
    .transform((text) => text.split(',').map(Number))
    .pipe(z.array(z.int().min(0).max(FRAMES_MAX)).min(1).max(100)),
  cellwidth: side,
  cellheight: side,
});

export function sheetMetadata({ frames, width, height }: SheetCells): Record<string, string> {
  return { frames: frames.join(','), cellwidth: String(width), cellheight: String(height) };
}

/** Undefined for a sheet of an earlier release. */
export function sheetCellsFrom(given: Readonly<Record<string, string>>): SheetCells | undefined {
  const { success, data } = metadata.safeParse(given);
  return success ? { frames: data.frames, width: data.cellwidth, height: data.cellheight } : undefined;
}
