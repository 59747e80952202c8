/**
 * HTML as templates, without a build step. The page's own components are called through `h`, which checks their properties:
 * `${h(Notice, { trouble })}` inside a template.
 */
import htm from 'htm';
import { type ComponentChildren, type VNode, h as createElement } from 'preact';

export type Html = VNode | readonly VNode[] | null;

export const html = htm.bind(createElement) as (strings: TemplateStringsArray, ...values: unknown[]) => VNode;

export const h = createElement as unknown as <P extends object>(
  component: (properties: P) => Html,
  properties: P,
  ...children: ComponentChildren[]
) => VNode;
