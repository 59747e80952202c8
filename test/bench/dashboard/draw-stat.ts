/** PURE. A stat panel: the last of each series, as large as its share of the panel allows. */
import type { Series } from './answers.ts';
import { type ColourName, THEME, colourOf } from './colours.ts';
import type { StatPanel } from './dashboard.ts';
import { type Box, rectangle, sizeWithin, text } from './svg.ts';
import { written } from './units.ts';

const VALUE_SIZE_MAX = 76;
const NAME_SIZE_MAX = 22;
const GAP = 4;

export function drawStat(panel: StatPanel, answers: readonly (readonly Series[])[], box: Box): string {
  const { fieldConfig, options } = panel;
  const { unit, decimals, noValue = 'No data', thresholds } = fieldConfig.defaults;
  const series = answers.flat();
  if (series.length === 0) return placed(noValue, box, VALUE_SIZE_MAX, THEME.faint);

  const isAcross = options.orientation === 'auto';
  const cell = (index: number): Box => {
    const width = isAcross ? (box.width - GAP * (series.length - 1)) / series.length : box.width;
    const height = isAcross ? box.height : (box.height - GAP * (series.length - 1)) / series.length;
    return {
      x: box.x + (isAcross ? index * (width + GAP) : 0),
      y: box.y + (isAcross ? 0 : index * (height + GAP)),
      width,
      height,
    };
  };
  return series
    .map(({ name, points }, index) => {
      const place = cell(index);
      const value = points.at(-1)?.[1] ?? 0;
      const colour = colourOf(colourAt(value, thresholds.steps));
      const isFilled = options.colorMode === 'background';
      const ink = isFilled ? '#FFFFFF' : colour;
      const ground = isFilled ? rectangle(place, colour) : '';
      const number = written(value, unit, decimals);
      return ground + worded(options.textMode, name, number, place, ink);
    })
    .join('');
}

function worded(
  mode: StatPanel['options']['textMode'],
  name: string,
  number: string,
  box: Box,
  ink: string,
): string {
  switch (mode) {
    case 'name':
      return placed(name, box, VALUE_SIZE_MAX, ink);
    case 'value':
      return placed(number, box, VALUE_SIZE_MAX, ink);
    case 'value_and_name': {
      const named = Math.round(box.height * 0.28);
      return (
        placed(
          name,
          { ...box, y: box.y + GAP, height: named },
          NAME_SIZE_MAX,
          ink === '#FFFFFF' ? ink : THEME.text,
        ) + placed(number, { ...box, y: box.y + named, height: box.height - named }, VALUE_SIZE_MAX, ink)
      );
    }
  }
}

function placed(content: string, box: Box, sizeMax: number, ink: string): string {
  const size = Math.min(sizeMax, sizeWithin(content, { width: box.width - 16, height: box.height }));
  return text(box.x + box.width / 2, box.y + box.height / 2 + size * 0.36, content, {
    size,
    fill: ink,
    anchor: 'middle',
    weight: 500,
  });
}

function colourAt(
  value: number,
  steps: readonly { readonly color: ColourName; readonly value: number | null }[],
): ColourName {
  return steps.findLast((step) => step.value === null || step.value <= value)?.color ?? 'text';
}
