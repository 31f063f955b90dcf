/**
 * A canvas that grows an SVG. All that goes in are numbers, colours of ours and icon bodies of the
 * installed icon set: no word of a prompt ever does, so a prompt cannot write SVG.
 *
 * @module
 */
import type { Random } from "./random.ts";

/** Offset 0 to 1, colour, and opacity where it is not 1. */
export type Stop = readonly [offset: number, colour: string, opacity?: number];

export class Canvas {
  readonly width: number;
  readonly height: number;
  /** The shorter side: what sizes are measured in, so that things keep their size in every aspect ratio. */
  readonly unit: number;
  readonly random: Random;
  readonly #definitions: string[] = [];
  readonly #shapes: string[] = [];

  constructor(width: number, height: number, random: Random) {
    this.width = width;
    this.height = height;
    this.unit = Math.min(width, height);
    this.random = random;
  }

  /** A paint that runs from top to bottom of what it fills. */
  verticalGradient(stops: readonly Stop[]): string {
    return this.#define(
      (id) => `<linearGradient id="${id}" x1="0" y1="0" x2="0" y2="1">${stopsOf(stops)}</linearGradient>`,
    );
  }

  /** A paint that runs from the centre of what it fills to its edge. */
  radialGradient(stops: readonly Stop[]): string {
    return this.#define((id) => `<radialGradient id="${id}">${stopsOf(stops)}</radialGradient>`);
  }

  rect(x: number, y: number, width: number, height: number, fill: string, opacity = 1): void {
    this.#shapes.push(
      `<rect x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(height)}" fill="${fill}"${opacityOf(opacity)}/>`,
    );
  }

  /** The whole picture. */
  wash(fill: string, opacity = 1): void {
    this.rect(0, 0, this.width, this.height, fill, opacity);
  }

  ellipse(x: number, y: number, radiusX: number, radiusY: number, fill: string, opacity = 1): void {
    this.#shapes.push(
      `<ellipse cx="${n(x)}" cy="${n(y)}" rx="${n(radiusX)}" ry="${n(radiusY)}" fill="${fill}"${opacityOf(opacity)}/>`,
    );
  }

  circle(x: number, y: number, radius: number, fill: string, opacity = 1): void {
    this.ellipse(x, y, radius, radius, fill, opacity);
  }

  polygon(points: readonly (readonly [number, number])[], fill: string, opacity = 1): void {
    const path = points.map(([x, y]) => `${n(x)} ${n(y)}`).join("L");
    this.#shapes.push(`<path d="M${path}Z" fill="${fill}"${opacityOf(opacity)}/>`);
  }

  line(points: readonly (readonly [number, number])[], colour: string, width: number, opacity = 1): void {
    const path = points.map(([x, y]) => `${n(x)} ${n(y)}`).join("L");
    this.#shapes.push(
      `<path d="M${path}" fill="none" stroke="${colour}" stroke-width="${n(width)}" stroke-linecap="round"${opacityOf(opacity)}/>`,
    );
  }

  /** An icon's grid, `size` wide, at its upper left corner; `flip` mirrors it, `tilt` turns it by degrees about its centre. */
  icon(body: string, x: number, y: number, size: number, grid: number, flip: boolean, tilt: number): void {
    const scale = size / grid;
    const mirror = flip ? ` translate(${grid} 0) scale(-1 1)` : "";
    const own = this.#ownIds(body);
    this.#shapes.push(
      `<g transform="translate(${n(x)} ${n(y)}) scale(${scale.toFixed(4)}) rotate(${n(tilt)} ${grid / 2} ${grid / 2})${mirror}">${own}</g>`,
    );
  }

  toSvg(): string {
    return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${this.width}" height="${this.height}" viewBox="0 0 ${this.width} ${this.height}"><defs>${this.#definitions.join("")}</defs>${this.#shapes.join("")}</svg>`;
  }

  #define(write: (id: string) => string): string {
    const id = `p${this.#definitions.length}`;
    this.#definitions.push(write(id));
    return `url(#${id})`;
  }

  /** Ids hold for the whole document, and icons come with ids of their own. */
  #ownIds(body: string): string {
    const prefix = `i${this.#shapes.length}-`;
    return body
      .replaceAll(/ id="/g, ` id="${prefix}`)
      .replaceAll(/url\(#/g, `url(#${prefix}`)
      .replaceAll(/href="#/g, `href="#${prefix}`);
  }
}

function stopsOf(stops: readonly Stop[]): string {
  return stops
    .map(
      ([offset, colour, opacity = 1]) => `<stop offset="${offset}" stop-color="${colour}" stop-opacity="${opacity}"/>`,
    )
    .join("");
}

function opacityOf(opacity: number): string {
  return opacity === 1 ? "" : ` opacity="${opacity.toFixed(2)}"`;
}

function n(value: number): string {
  return String(Math.round(value * 10) / 10);
}
