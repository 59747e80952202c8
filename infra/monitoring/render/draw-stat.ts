/** PURE. Draws a stat panel: the last value of each series, in the largest font that fits. */
import { type ColourName, THEME, colourOf } from './colours.ts';
import type { StatPanel } from './dashboard-schema.ts';
import type { Series } from './query-prometheus.ts';
import { type Box, rectangle, sizeWithin, text } from './svg.ts';
import { formatValue } from './units.ts';

const VALUE_SIZE_MAX = 76;
const NAME_SIZE_MAX = 22;
const GAP = 4;

export function drawStat(panel: StatPanel, results: readonly (readonly Series[])[], box: Box): string {
  const { fieldConfig, options } = panel;
  const { unit, decimals, noValue = 'No data', thresholds } = fieldConfig.defaults;
  const series = results.flat();
  if (series.length === 0) return centeredText(noValue, box, VALUE_SIZE_MAX, THEME.faint);

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
      const cellBox = cell(index);
      const value = points.at(-1)?.[1] ?? 0;
      const colour = colourOf(colourAt(value, thresholds.steps));
      const isFilled = options.colorMode === 'background';
      const ink = isFilled ? '#FFFFFF' : colour;
      const background = isFilled ? rectangle(cellBox, colour) : '';
      const number = formatValue(value, unit, decimals);
      return background + labeledValue(options.textMode, name, number, cellBox, ink);
    })
    .join('');
}

function labeledValue(
  mode: StatPanel['options']['textMode'],
  name: string,
  number: string,
  box: Box,
  ink: string,
): string {
  switch (mode) {
    case 'name':
      return centeredText(name, box, VALUE_SIZE_MAX, ink);
    case 'value':
      return centeredText(number, box, VALUE_SIZE_MAX, ink);
    case 'value_and_name': {
      const nameHeight = Math.round(box.height * 0.28);
      return (
        centeredText(
          name,
          { ...box, y: box.y + GAP, height: nameHeight },
          NAME_SIZE_MAX,
          ink === '#FFFFFF' ? ink : THEME.text,
        ) +
        centeredText(
          number,
          { ...box, y: box.y + nameHeight, height: box.height - nameHeight },
          VALUE_SIZE_MAX,
          ink,
        )
      );
    }
  }
}

function centeredText(content: string, box: Box, sizeMax: number, ink: string): string {
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
