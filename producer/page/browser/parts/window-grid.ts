/**
 * A long list as a grid that scrolls with the page and has only the visible items in the document, and the one with the focus. All
 * items have the same height, so the list has its full height and a known place for each item.
 */
import { useSignal } from '@preact/signals';
import type { VNode } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';

import { type Html, html } from '../html.ts';

const GAP = 24;
/** Rows above and below the visible ones, so that the Tab key finds the next item. */
const OVERSCAN_ROWS = 2;
/** For the phone: two pixels narrower than the narrowest common one without its margins. */
const ITEM_WIDTH_MIN = 286;

interface WindowGridOptions {
  readonly label: string;
  readonly count: number;
  /** How many there will be when all are loaded. */
  readonly total: number;
  readonly keyOf: (index: number) => string;
  readonly render: (index: number) => VNode;
  /** Of an item, in pixels, by its width. */
  readonly heightOf: (width: number) => number;
  /** The last loaded items are visible. */
  readonly onEnd: () => void;
}

interface Measure {
  readonly columns: number;
  readonly width: number;
  readonly firstRow: number;
  readonly lastRow: number;
}

export function WindowGrid(options: WindowGridOptions): Html {
  const { label, count, total, keyOf, render, heightOf, onEnd } = options;
  const list = useRef<HTMLUListElement>(null);
  const measure = useSignal<Measure>({ columns: 1, width: 0, firstRow: 0, lastRow: 0 });
  const focused = useSignal<string | null>(null);

  useLayoutEffect(() => {
    const update = () => {
      if (list.current === null) return;
      const next = measured(list.current, heightOf);
      if (!isSame(next, measure.peek())) measure.value = next;
    };
    update();
    addEventListener('scroll', update, { passive: true });
    const resize = new ResizeObserver(update);
    if (list.current !== null) resize.observe(list.current);
    resize.observe(document.body);
    return () => {
      removeEventListener('scroll', update);
      resize.disconnect();
    };
  }, [heightOf]);

  const { columns, width, firstRow, lastRow } = measure.value;
  const height = heightOf(width) + GAP;
  const first = firstRow * columns;
  const end = Math.min(count, (lastRow + 1) * columns);
  useEffect(() => {
    if (width > 0 && end >= count && count < total) onEnd();
  }, [width, end, count, total]);

  const indices = Array.from({ length: Math.max(0, end - first) }, (_, number) => first + number);
  const focusedIndex = focused.value === null ? -1 : indexOfKey(focused.value, count, keyOf);
  if (focusedIndex !== -1 && !indices.includes(focusedIndex)) {
    indices.push(focusedIndex);
    indices.sort((a, b) => a - b);
  }
  const rows = Math.ceil(count / columns);
  const onFocusIn = (event: FocusEvent) => {
    const item = event.target instanceof Element ? event.target.closest<HTMLElement>('li[data-key]') : null;
    focused.value = item?.dataset['key'] ?? null;
  };
  return html`
    <ul
      ref=${list}
      class="window-grid"
      role="list"
      aria-label=${label}
      style=${{ height: `${Math.max(0, rows * height - GAP)}px` }}
      onFocusIn=${onFocusIn}
      onFocusOut=${() => {
        focused.value = null;
      }}
    >
      ${
        width > 0 &&
        indices.map((index) => {
          const [row, column] = [Math.floor(index / columns), index % columns];
          return html`
            <li
              key=${keyOf(index)}
              data-key=${keyOf(index)}
              aria-setsize=${total}
              aria-posinset=${index + 1}
              style=${{
                width: `${width}px`,
                height: `${height - GAP}px`,
                transform: `translate(${column * (width + GAP)}px, ${row * height}px)`,
              }}
            >
              ${render(index)}
            </li>
          `;
        })
      }
    </ul>
  `;
}

function measured(list: HTMLElement, heightOf: (width: number) => number): Measure {
  const { top, width: listWidth } = list.getBoundingClientRect();
  const columns = Math.max(1, Math.floor((listWidth + GAP) / (ITEM_WIDTH_MIN + GAP)));
  const width = Math.floor((listWidth - GAP * (columns - 1)) / columns);
  const rowHeight = heightOf(width) + GAP;
  return {
    columns,
    width,
    firstRow: Math.max(0, Math.floor(-top / rowHeight) - OVERSCAN_ROWS),
    lastRow: Math.max(0, Math.floor((innerHeight - top) / rowHeight) + OVERSCAN_ROWS),
  };
}

function isSame(one: Measure, other: Measure): boolean {
  return (
    one.columns === other.columns &&
    one.width === other.width &&
    one.firstRow === other.firstRow &&
    one.lastRow === other.lastRow
  );
}

function indexOfKey(key: string, count: number, keyOf: (index: number) => string): number {
  for (let index = 0; index < count; index += 1) if (keyOf(index) === key) return index;
  return -1;
}
