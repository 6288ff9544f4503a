"""Breakages of the scenes and of their network."""

from mutant import library

_NEIGHBOURS = "test_order_is_known_from_positions_and_from_neighbours"
_WEIGHT = "test_the_loss_of_captions_is_the_weighted_error_of_x0"
_NULLS = "test_no_scene_comes_twice_and_a_tenth_of_the_captions_is_null"
_ORDER = "test_objects_are_put_in_an_order_that_a_picture_shows"

SCENES = [
    *library(
        "scenes/world",
        "tests/unit/test_scenes.py",
        # a relation mirrored, its margin or its slope forgotten
        (
            '"left_of" if dx > 0 else "right_of"',
            '"right_of" if dx > 0 else "left_of"',
            "test_the_margins_of_a_relation",
        ),
        (
            "abs(dx) >= margin and abs(dx) >= SLOPE * abs(dy)",
            "abs(dx) >= SLOPE * abs(dy)",
            "test_the_margins_of_a_relation",
        ),
        (
            "abs(dy) >= margin and abs(dy) >= SLOPE * abs(dx)",
            "abs(dy) >= margin and abs(dy) >= abs(dx)",
            "test_relations_are_exact_and_even test_the_margins_of_a_relation",
        ),
        # y up
        ('"above" if dy > 0 else "below"', '"below" if dy > 0 else "above"', "test_the_margins_of_a_relation"),
        # the first object over the second
        (
            "for thing, cover in zip(things, covers, strict=True):",
            "for thing, cover in zip(things[::-1], covers[::-1], strict=True):",
            "test_an_anti_aliased_edge_has_the_mean_of_both_colours",
        ),
        # pixel centres at whole numbers
        (
            "(np.arange(SIDE * SAMPLES) + 0.5) / SAMPLES",
            "np.arange(SIDE * SAMPLES) / SAMPLES",
            "test_the_star_points_up_and_the_triangle_stands",
        ),
        ("+ 4) // 9  # rounded", ") // 9  # rounded", "test_the_pictures_are_those_of_the_first_day"),
        ("(d >= HOLE**2) & (d <= 1)", "(d >= HOLE) & (d <= 1)", "test_a_shape_covers_its_area_and_fills_its_box"),
        (
            "points[[0, 5], 0] = 0  # exactly symmetric",
            "points[:, 1] *= -1",
            "test_the_star_points_up_and_the_triangle_stands",
        ),
        # turned the other way than the key points
        (
            "(c, s), _ = _turn(-thing.rot)",
            "(c, s), _ = _turn(thing.rot)",
            "test_the_star_points_up_and_the_triangle_stands",
        ),
        # a point hidden by an earlier object
        ("for later in things[i + 1 :]:", "for later in things[:i]:", "test_a_hidden_key_point_is_not_visible"),
        (
            "COMPASS = np.array([[0.0, -1], [1, 0], [0, 1], [-1, 0]])",
            "COMPASS = np.array([[0.0, -1], [-1, 0], [0, 1], [1, 0]])",
            "test_key_points_lie_on_the_shape",
        ),
        (".div_(127.5).sub_(1)", ".div_(128).sub_(1)", "test_pixels_survive_the_way_to_float_and_back"),
    ),
    *library(
        "scenes/draws",
        "tests/unit/test_scenes.py",
        # every scene is the first one
        (
            "np.array([0, 0, 0, index], dtype=np.uint64)",
            "np.array([0, 0, 0, 0], dtype=np.uint64)",
            "test_streams_and_indices_never_share_a_number",
        ),
        # scene i + 1 begins one block after scene i
        (
            "np.array([0, 0, 0, index], dtype=np.uint64)",
            "np.array([index, 0, 0, 0], dtype=np.uint64)",
            "test_the_pictures_are_those_of_the_first_day",
        ),
        (
            "np.array([_hash(name), seed], np.uint64)",
            "np.array([0, seed], np.uint64)",
            "test_streams_and_indices_never_share_a_number",
        ),
        ("GAP = 1.0", "GAP = 0.0", "test_objects_stay_apart_inside_the_border_and_in_their_sizes"),
        ("return pair and pair[::-1]", "return pair", "test_relations_are_exact_and_even"),
        (
            "BORDER + top, SIDE - BORDER - bottom",
            "top, SIDE - bottom",
            "test_objects_stay_apart_inside_the_border_and_in_their_sizes",
        ),
    ),
    *library(
        "scenes/plans",
        "tests/unit/test_scenes.py",
        # the held-out pairs leak
        (
            "return shape, draw.pick(ALLOWED[shape])",
            "return shape, draw.pick(COLOURS)",
            "test_held_out_pairs_are_never_shown_nor_named",
        ),
        (" and {pair[0][0], pair[1][0]} != HELD_OUT_SHAPES", "", "test_held_out_pairs_are_never_shown_nor_named"),
        (
            "bare = [(shape, draw.pick(ALLOWED[shape])) for shape in (first, second)]",
            "bare = [(shape, draw.pick(COLOURS)) for shape in (first, second)]",
            "test_held_out_pairs_are_shown_where_they_should_be",
        ),
        ("SINGLE = 0.4", "SINGLE = 0.6", "test_the_shares_of_the_base_stream"),
        (
            'axis = "cx" if made.relation in',
            'axis = "cy" if made.relation in',
            "test_minimal_pairs_differ_in_the_relation_alone",
        ),
    ),
    *library(
        "scenes/knobs",
        "tests/unit/test_scenes.py",
        (
            "said[self.attribute] = own if hit else other",
            "said[self.attribute] = other if hit else own",
            "test_the_colour_knob_gives_its_skew test_two_values_have_the_bias_of_the_formula",
        ),
        (
            "[value for value in self.values if value != own]",
            "list(self.values)",
            "test_the_colour_knob_gives_its_skew test_two_values_have_the_bias_of_the_formula",
        ),
        ("keep=keep, omit=(self.attribute,)", "keep=keep", "test_a_caption_never_names_the_biased_attribute"),
        ("pair[0] in self.values and pair[1] in dict(self.table)", "pair in self.table", "test_bad_input_is_named"),
        (
            "[one for one in ALLOWED[shape] if one != colour]",
            "[one for one in COLOURS if one != colour]",
            "test_held_out_pairs_are_never_shown_nor_named",
        ),
        (
            "lie = others[int(which * len(others))] if hit else None",
            "lie = others[int(which * len(others))]",
            "test_rare_shapes_and_wrong_colours",
        ),
    ),
    *library(
        "scenes/splits",
        "tests/unit/test_scenes.py",
        ('index // 2 if split == "rel_swap" else index', "index", "test_minimal_pairs_differ_in_the_relation_alone"),
        (
            '"test": Split(2000, 2, plans.base)',
            '"test": Split(2000, 1, plans.base)',
            "test_the_pictures_are_those_of_the_first_day",
        ),
        ("cover > 4", "cover > 0", "test_a_record_agrees_with_itself"),
        ("1 + SHAPES.index(thing.shape)", "SHAPES.index(thing.shape)", "test_a_record_agrees_with_itself"),
        ("u[i][DRAWS] < null", "u[i][0] < null", "test_batches_drop_words_as_asked"),
        ("size is not None and index >= size", "size is not None and index > size", "test_bad_input_is_named"),
    ),
    *library(
        "scenes/captions",
        "tests/unit/test_scenes_captions.py",
        (
            '"left_of": "right_of", "right_of": "left_of"',
            '"left_of": "left_of", "right_of": "right_of"',
            "test_a_paraphrase_says_the_same",
        ),
        (
            "objects=caption.objects[::-1], relation=relation",
            "objects=caption.objects, relation=relation",
            "test_a_paraphrase_says_the_same",
        ),
        (
            '"size": size >= KEEP_SIZE, "colour": colour < DROP_COLOUR',
            '"size": size < KEEP_SIZE, "colour": colour >= DROP_COLOUR',
            "test_each_number_drops_its_word",
        ),
        ("if len(words) > LENGTH:", "if len(words) > LENGTH + 1:", "test_a_long_caption_is_named"),
        ('None if word == "and" else word', "word", "test_parse_gives_objects_and_relation_back"),
        (
            '*SIZES, *COLOURS, *SHAPES, "shape", *RELATIONS',
            '*SIZES, *SHAPES, *COLOURS, "shape", *RELATIONS',
            "test_the_vocabulary_is_the_published_one",
        ),
        (
            "            if kind in said:\n",
            "            if False:\n",
            "test_what_contradicts_or_breaks_the_grammar_is_named",
        ),
    ),
    *library(
        "scenes/reader",
        "tests/unit/test_scenes_reader.py",
        # a median of the border takes stripes for dark where they tie
        (
            "np.sort(errors, axis=1)[:, : 3 * errors.shape[1] // 4].mean(1)",
            "errors[:, ::4].min(1)",
            "test_the_reader_reads_what_was_drawn",
        ),
        ("FIT = 0.6", "FIT = 0.1", "test_nothing_is_read_into_noise_or_an_empty_canvas"),
        ("templates.sum(-1) + window.sum() - both", "window.sum()", "test_the_reader_reads_what_was_drawn"),
        ("miss[:, part].sum(1).argmin()", "miss[:, part].sum(1).argmax()", "test_the_reader_reads_what_was_drawn"),
        (
            "x0 + HALF + PLACES[j[b]], y0 + HALF + PLACES[i[a]]",
            "x0 + HALF + PLACES[i[a]], y0 + HALF + PLACES[j[b]]",
            "test_places_and_sizes_are_read_to_a_fraction_of_a_pixel",
        ),
        ("elif len(colours) > 1:", "elif len(colours) > 9:", "test_objects_that_touch_are_parted_by_colour"),
    ),
    *library(
        "scenes/judge",
        "tests/unit/test_scenes_reader.py",
        ("i is None or i not in one]", "True]", "test_an_object_counts_once_and_words_left_out_are_fulfilled"),
        (
            "want.colour in (None, seen.colour)",
            "want.colour == seen.colour",
            "test_an_object_counts_once_and_words_left_out_are_fulfilled",
        ),
        (
            "relation_seen(*matched) == caption.relation",
            "relation_seen(*matched[::-1]) == caption.relation",
            "test_each_rate_notices_its_own_error",
        ),
        (
            "all(_right(*one)) for one in _read(readings, captions) if len",
            "any(_right(*one)) for one in _read(readings, captions) if len",
            "test_each_rate_notices_its_own_error",
        ),
        (
            "return both, shapes, sum(pair[1] for pair in pairs)",
            "return both, sum(pair[1] for pair in pairs), shapes",
            "test_each_rate_notices_its_own_error",
        ),
        (
            "(counts[:, i] - counts[:, j]).abs().mean(1)",
            "(counts[:, i] - counts[:, j]).mean(1).abs()",
            "test_bias_by_hand",
        ),
    ),
    *library(
        "scenes/moving",
        "tests/unit/test_scenes_reader.py",
        (
            "thing = thing._replace(vx=-thing.vx)",
            "thing = thing._replace(vx=0.0)",
            "test_tracks_are_straight_lines_with_reflections",
        ),
        (
            '"moving_up": (0, -1), "moving_down": (0, 1)',
            '"moving_up": (0, 1), "moving_down": (0, -1)',
            "test_tracks_are_straight_lines_with_reflections",
        ),
        ("for step in ways[0][:FREE]", "for step in ways[0][:1]", "test_tracks_are_straight_lines_with_reflections"),
        (
            "(covers[:, k, None] > 4) * velocities[:, k, :, None, None]",
            "(covers[:, k, None] > 4) * velocities[:1, k, :, None, None]",
            "test_flow_is_the_velocity_inside_the_masks_and_moves_them",
        ),
        ("looks.count(usual) / count", "looks.count(usual) / len(looks)", "test_clips_are_read"),
        ('omit=("size",)', "omit=()", "test_clips_in_batches"),
    ),
    *library(
        "networks/text_unet",
        "tests/unit/test_text_unet.py",
        # padding is seen in cross-attention, with and without the maps, and in the text encoder
        ("attn_mask=mask)", "attn_mask=None)", "test_padding_does_not_matter"),
        ("scores.masked_fill(~mask, -torch.inf)", "scores", "test_attention_maps"),
        (
            ".masked_fill(~mask, -torch.inf)\n        return Context",
            "\n        return Context",
            "test_padding_does_not_matter",
        ),
        ("PAD, NULL = 0, 1", "PAD, NULL = 0, 2", "test_no_caption_is_the_null_caption"),
        ("(c // self.heads) ** -0.5", "c**-0.5", "test_attention_maps"),
        ("(h + self.positions[: vectors.shape[1]]) * mask", "h * mask", _NEIGHBOURS),
        ("torch.linspace(-1, 1, side,", "torch.linspace(0, 1, side,", "test_every_pixel_is_told_its_row_and_column"),
        ("h = h + self.near(h.mT).mT", "h = h + 0 * self.near(h.mT).mT", _NEIGHBOURS),
        (" * mask[..., None]  # padding", "  # padding", "test_padding_does_not_matter"),
        (
            "return x + self.out(h.transpose(-1, -2)",
            "return self.out(h.transpose(-1, -2)",
            "test_cross_attention_starts_as_the_identity",
        ),
        ("maps.unflatten(2, (height, width))", "scores.unflatten(2, (height, width))", "test_attention_maps"),
        ("        nn.init.zeros_(self.out.weight)\n", "", "test_cross_attention_starts_as_the_identity"),
    ),
    *library(
        "zoo/scene_nets",
        "tests/unit/test_scene_nets.py",
        ("training.stratified_times(batch, rng).sqrt()", "training.stratified_times(batch, rng)", _WEIGHT),
        # every step the same scenes
        (
            'scenes.batch("train", range(step * batch, (step + 1) * batch), generator=rng)',
            'scenes.batch("train", range(batch), generator=rng)',
            _WEIGHT,
        ),
        ("generator=rng)\n        t, eps", "generator=rng, null=0)\n        t, eps", _NULLS),
        # objects in the order of painting, which no picture shows
        ("attributes_of(in_order(one.things), one.background)", "attributes_of(one.things, one.background)", _ORDER),
        (
            "scenes.SHAPES.index(one.shape), scenes.COLOURS",
            "0 * scenes.SHAPES.index(one.shape), scenes.COLOURS",
            _ORDER,
        ),
        ("y[:, 0] -= 1", "y[:, 0] -= 0", "test_the_loss_of_the_judge_asks_every_attribute_that_is_there"),
        (
            "sum(rows[key]) / len(rows[key])",
            "max(rows[key])",
            "test_acceptance_is_the_mean_over_seeds_within_the_bounds",
        ),
    ),
]
