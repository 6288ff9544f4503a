"""Breakages of guidance, of classes in mixtures, and of what is stored."""

from mutant import Mutant, library

GUIDANCE = [
    *library(
        "guidance",
        "tests/unit/test_guidance.py",
        # the convention
        (
            'return 1 + validate.number("w", w)',
            'return validate.number("w", w)',
            "test_the_strength_is_that_of_the_convention",
        ),
        (
            "return any_class + s * (conditional - any_class)",
            "return conditional + s * (conditional - any_class)",
            "test_the_strength_is_that_of_the_convention",
        ),
        (
            "_mix(self.denoiser(x, t), conditional, s)",
            "_mix(conditional, self.denoiser(x, t), s)",
            "test_the_strength_is_that_of_the_convention",
        ),
        ("return conditional if s == 1 else", "return conditional if s == 2 else", "test_no_call_is_wasted"),
        ("hi + SLACK else 1.0", "hi + SLACK else 0.0", "test_within_an_interval_and_elsewhere_conditional"),
        ("<= t <= hi + SLACK", "<= t < hi - SLACK", "test_within_an_interval_and_elsewhere_conditional"),
        ("<= hi + SLACK", "<= hi", "test_within_forgives_the_rounding_of_a_time"),
        ("s if lo - SLACK <=", "s if lo <=", "test_within_forgives_the_rounding_of_a_time"),
        ("SLACK = 1e-9", "SLACK = 1e-6", "test_within_forgives_the_rounding_of_a_time"),
        ('return validate.number("s", s(float(time)))', "return s(float(time))", "test_bad_input_is_named"),
        # the gradient's size and sign, and where it is taken
        (
            "s * sigma**2 / alpha * gradient",
            "s * sigma / alpha * gradient",
            "test_an_exact_classifier_guides_as_classifier_free_does",
        ),
        (
            "s * sigma**2 / alpha * gradient",
            "s * sigma**2 * gradient",
            "test_an_exact_classifier_guides_as_classifier_free_does[1.0-Cosine]",
        ),
        (
            "guess.detach() + s * sigma**2",
            "guess.detach() - s * sigma**2",
            "test_an_exact_classifier_guides_as_classifier_free_does",
        ),
        ('(x if self.sees == "xt" else guess)', '(guess if self.sees == "xt" else x)', "test_what_the_guide_sees"),
        ('if self.sees == "through":', 'if self.sees == "x0":', "test_what_the_guide_sees"),
        (
            "label = y if self.conditional else None",
            "label = y",
            "test_an_exact_classifier_guides_as_classifier_free_does",
        ),
        # the guide's own derivative would be missing, silently
        ("return guess.detach() + s", "return guess + s", "test_a_derivative_through_a_guide_is_refused_and_not_wrong"),
        (
            "part.clone() if isinstance(part, Tensor)",
            "part if isinstance(part, Tensor)",
            "test_float32_networks_under_float64_states_with_or_without_gradients",
        ),
        (
            "at, allow_unused=True)[0] if value.requires_grad",
            "at)[0] if value.requires_grad",
            "test_bad_input_is_named",
        ),
        ("for part in (value, gradient))", "for part in (value,))", "test_bad_input_is_named"),
        ("value.shape != (len(at),)", "len(value.shape) > 1", "test_bad_input_is_named"),
        (
            "logits.log_softmax(1).gather",
            "logits.softmax(1).gather",
            "test_label_guide_is_the_log_probability_of_the_label",
        ),
        ("logits.log_softmax(1).gather", "logits.gather", "test_label_guide_is_the_log_probability_of_the_label"),
        (
            ".to(x.device, own).expand",
            ".to(x.device).expand",
            "test_float32_networks_under_float64_states_with_or_without_gradients",
        ),
        ("if logits.shape != (len(x), classes):", "if len(logits) != len(x):", "test_bad_input_is_named"),
        # a batch of vectors, cropped of its items
        ("if self.crop and (x.ndim < 3 or", "if self.crop and (x.ndim < 2 or", "test_bad_input_is_named"),
    ),
    *library(
        "guidance",
        "tests/unit/test_adaptive.py",
        (
            "a, b = x - alpha * a, x - alpha * b",
            "a, b = x - a, x - b",
            "test_an_item_stops_by_the_cosine_of_what_the_branches_say",
        ),
        (".clamp(-1, 1)  # rounding leads beyond", "", "test_rounding_leads_no_cosine_past_one"),
        (
            'if self.space == "eps":',
            'if self.space == "x0":',
            "test_an_item_stops_by_the_cosine_of_what_the_branches_say",
        ),
        (
            "self.crop : -self.crop, self.crop : -self.crop]",
            "self.crop : -self.crop, :]",
            "test_an_item_stops_by_the_cosine_of_what_the_branches_say",
        ),
        (
            "both = self._on if s != 1 else torch.zeros_like(self._on)",
            "both = self._on",
            "test_at_strength_one_there_is_nothing_to_decide",
        ),
    ),
    *library(
        "guidance",
        "tests/property/test_guidance.py",
        (
            "self._on[on] = (cosine < self.threshold).cpu()",
            "self._on[on] = (cosine > self.threshold).cpu()",
            "test_rows_leave_the_batch_of_the_branch_without_a_label",
        ),
        # one item decides for all
        (
            "self._on[on] = (cosine < self.threshold).cpu()",
            "self._on[on] = bool((cosine < self.threshold).any())",
            "test_each_item_decides_for_itself_and_is_counted",
        ),
        # rows do not leave the batch, their answer is thrown away
        (
            "any_class = self.denoiser(x[rows], t)",
            "any_class = self.denoiser(x, t)[rows]",
            "test_rows_leave_the_batch_of_the_branch_without_a_label",
        ),
        (
            "guess[rows] = _mix(any_class, conditional[rows], s)",
            "guess[: len(on)] = _mix(any_class, conditional[rows], s)",
            "test_rows_leave_the_batch_of_the_branch_without_a_label",
        ),
        ("self.items += 1 + both", "self.items += 2 * both", "test_each_item_decides_for_itself_and_is_counted"),
        ("if again or rise > CHURN or", "if again or", "test_a_run_from_another_time_is_a_new_trajectory"),
        ("if again or rise > CHURN or", "if rise > CHURN or", "test_each_item_decides_for_itself_and_is_counted"),
        (
            "if again or rise > CHURN or",
            "if again or rise > 1 or",
            "test_churn_is_no_new_trajectory_and_a_second_run_is",
        ),
        ("and (rise <= 1 or time < 1)", "and True", "test_churn_is_no_new_trajectory_and_a_second_run_is"),
        ("if self.crop:\n", "if False:\n", "test_rows_leave_the_batch_of_the_branch_without_a_label"),
        (
            "return conditional if s == 1 else",
            "return conditional if s >= 1 else",
            "test_an_exact_classifier_is_classifier_free_guidance",
        ),
    ),
]

CLASSES = [
    *library(
        "exact",
        "tests/unit/test_exact.py",
        (
            "(log_joint - self._log_given(allowed)).masked_fill",
            "log_joint.masked_fill",
            "test_a_class_is_the_sum_of_its_components",
        ),
        (
            "any_class = torch.ones((k, 1)",
            "any_class = torch.zeros((k, 1)",
            "test_the_null_label_means_no_label_and_labels_may_be_mixed",
        ),
        (
            "torch.cat([self.member, any_class], 1).mT[y]",
            "torch.cat([any_class, self.member], 1).mT[y]",
            "test_a_class_is_the_sum_of_its_components",
        ),
        (".softmax(1) @ self.member.to(self.means)", ".softmax(1)", "test_a_class_is_the_sum_of_its_components"),
        (
            "masked_fill(~self.member, -torch.inf).logsumexp(1)",
            "masked_fill(~self.member, 0).logsumexp(1)",
            "test_a_class_is_the_sum_of_its_components",
        ),
        ("return by_class.log_softmax(1)", "return by_class", "test_a_class_is_the_sum_of_its_components"),
        (
            "return by_class.log_softmax(1)",
            "return by_class.softmax(1).log()",
            "test_a_log_posterior_is_a_number_where_the_posterior_is_zero",
        ),
        ("self.member.long().argmax(1)[y]", "y", "test_samples_carry_their_class"),
        ("classes=self.num_classes + 1).to", "classes=k + 1).to", "test_bad_input_is_named"),
        (
            "if classes.min() < 0 or classes.max() >= self.num_classes:",
            "if classes.min() < 0:",
            "test_bad_input_is_named",
        ),
        (
            "variance * torch.eye(64).double()",
            "variance * torch.eye(64)",
            "test_digit_gaussians_have_the_moments_of_the_digits",
        ),
        (
            "x.mT.cov() for x in classes",
            "x.mT.cov(correction=0) for x in classes",
            "test_digit_gaussians_have_the_moments_of_the_digits",
        ),
    ),
    *library(
        "denoisers",
        "tests/unit/test_denoisers.py",
        ("self.items += len(x)", "self.items += 1", "test_counting_changes_no_answer_and_counts_calls_and_rows"),
        (
            "        return self.denoiser(x, t, y)\n",
            "        return self.denoiser(x, t)\n",
            "test_counting_changes_no_answer_and_counts_calls_and_rows",
        ),
    ),
    *library(
        "zoo/ship",
        "tests/unit/test_zoo.py",
        ('    _update_manifest("tables", key, entry)\n', "", "test_a_table_is_made_stored_and_read_back"),
        (
            "value.contiguous() for key, value in tensors.items()",
            "value for key, value in tensors.items()",
            "test_a_table_is_made_stored_and_read_back",
        ),
    ),
    *library(
        "zoo/tables",
        "tests/unit/test_zoo.py",
        (
            'tensors = TABLES[validate.choice("name", name, TABLES)]()',
            "tensors = TABLES[name]()",
            "test_a_table_is_made_stored_and_read_back",
        ),
    ),
    *library(
        "zoo/recipes",
        "tests/unit/test_zoo.py",
        (
            "net.state_dict() | start.state_dict()",
            "start.state_dict() | net.state_dict()",
            "test_a_recipe_starts_from_given_weights_and_leaves_the_random_state_alone",
        ),
    ),
]

CLOSED_FORMS = library(
    "guidance",
    "tests/unit/test_guidance_closed_forms.py",
    (
        "return any_class + s * (conditional - any_class)",
        "return conditional + s * (conditional - any_class)",
        "test_the_ode",
    ),
    (
        "return any_class + s * (conditional - any_class)",
        "return conditional + s * (any_class - conditional)",
        "test_the_sde",
    ),
    (
        "return conditional if s == 1 else _mix(self.denoiser(x, t), conditional, s)",
        "return _mix(conditional, self.denoiser(x, t), s)",
        "test_the_ode",
    ),
)
CHECKS_41 = library(
    "checks/exact_guidance",
    "tests/checks/test_exact_guidance.py",
    ("tilt = (1 - s) / a + s / b", "tilt = s / a + (1 - s) / b", "test_the_solutions_pass"),
    ("want = any_class + s * (given - any_class)", "want = given + s * (given - any_class)", "test_the_solutions_pass"),
    ("require(ends[0] < ends[1] < ends[2]", "require(ends[0] > ends[1] > ends[2]", "test_the_solutions_pass"),
)

GRID = library(
    "zoo/tables",
    "tests/unit/test_tables.py",
    (
        "((x.clamp(-1, 1) + 1) * 127.5).round()",
        "((x.clamp(-1, 1) + 1) * 127.5)",
        "TestGuidanceGrid::test_bytes_round_trip",
    ),
    ("((x.clamp(-1, 1) + 1) * 127.5).round()", "((x + 1) * 127.5).round()", "TestGuidanceGrid::test_bytes_round_trip"),
    ("images.float() / 127.5 - 1", "images.float() / 128 - 1", "TestGuidanceGrid::test_bytes_round_trip"),
    (
        'Rng(0).spawn("guidance_grid")',
        'Rng(1).spawn("guidance_grid")',
        "TestGuidanceGrid::test_a_sample_is_made_again_from_its_noise_and_label",
    ),
    (
        "torch.stack([torch.randn(1, 32, 32, generator=source) for _ in range(n)]), torch.arange(n) % 10",
        "torch.stack([torch.randn(1, 32, 32, generator=source) for _ in range(n)]), torch.arange(n) // 10",
        "TestGuidanceGrid::test_a_sample_is_made_again_from_its_noise_and_label",
    ),
)

CLEAN_CLASSIFIER = [
    *library(
        "networks/lora",
        "tests/unit/test_lora.py",
        (
            "nn.Softplus(beta))",
            "nn.Softplus())",
            "test_softplus_is_within_log_2_over_beta_of_relu_and_the_original_is_untouched",
        ),
        (
            "    model = copy.deepcopy(model)\n    places = [(parent, name) for",
            "    places = [(parent, name) for",
            "test_softplus_is_within_log_2_over_beta_of_relu_and_the_original_is_untouched",
        ),
        (
            "self.conv.weight.requires_grad_(False)",
            "self.conv.weight.requires_grad_(True)",
            "test_the_first_gradient_reaches_up_and_not_the_frozen_weight",
        ),
        (
            "conv.weight.new_zeros(",
            "conv.weight.new_ones(",
            "test_an_adapted_network_begins_as_the_original_and_only_adapter_and_biases_are_trained",
        ),
        (
            "self.conv.weight + (self.up @ self.down)",
            "self.conv.weight - (self.up @ self.down)",
            "test_a_trained_layer_equals_the_merged_convolution",
        ),
        (
            "conv.bias, conv.stride, conv.padding",
            "conv.bias, 1, conv.padding",
            "test_an_adapted_network_begins_as_the_original_and_only_adapter_and_biases_are_trained",
        ),
        (
            "copy.deepcopy(model).eval().requires_grad_(False)",
            "copy.deepcopy(model).train().requires_grad_(False)",
            "test_the_norms_of_an_adapted_network_are_trained_but_their_averages_stand",
        ),
        (
            'count("n", n) - 1e-9) - 1',
            'count("n", n) + 1e-9) - 1',
            "test_the_ranges_of_the_experts_cover_every_row_once",
        ),
        ("return net.requires_grad_(False)", "return net", "test_fit_trains_the_adapter_alone_and_lowers_the_loss"),
    ),
    *library(
        "zoo/experts",
        "tests/unit/test_tables.py",
        (
            "(sigma_u / sigma) ** 2)",
            "(sigma_u / sigma))",
            "TestFashionGuides::test_the_mean_is_shifted_by_the_variance_of_the_step",
        ),
        (
            "F.softplus(norm(conv(x)), beta)",
            "F.softplus(norm(conv(x)))",
            "TestFashionGuides::test_softplus_tends_to_the_classifier",
        ),
    ),
    *library(
        "networks/digit_net",
        "tests/unit/test_digit_net.py",
        (
            "t.to(x)[:, None].expand_as(x)",
            "t.to(x)[0].expand_as(x)",
            "test_a_noise_aware_one_uses_the_time_of_each_item",
        ),
        (
            "layer.weight[0].numel() ** -0.5",
            "layer.weight[0].numel() ** -0.5 * torch.rand(())",
            "test_size_and_repeatable_start",
        ),
    ),
    *library(
        "checks/clean_classifier",
        "tests/checks/test_clean_classifier.py",
        ("require(relus[0] == 3,", "require(relus[0] >= 0,", "test_wrong_swaps_are_named"),
        ("all(m.beta == beta for m in soft)", "all(m.beta for m in soft)", "test_wrong_swaps_are_named"),
        ("require(not memory,", "require(True or memory,", "test_wrong_swaps_are_named"),
        ('(before - product.view_as(before), "the sign"),', "", "test_wrong_adapters_are_named"),
        ("require(torch.equal(start, before),", "require(start is not None,", "test_wrong_adapters_are_named"),
    ),
]

DISTILLATION = [
    Mutant(
        "lib/denoising/zoo/distillation.py",
        "strength_of_w(0) + w.view",
        "strength_of_w(-1) + w.view",
        ("tests/unit/test_distillation.py",),
    ),  # w for s
    Mutant(
        "lib/denoising/zoo/distillation.py",
        "ratio = sigma_end / sigma\n",
        "ratio = sigma / sigma_end\n",
        ("tests/unit/test_distillation.py",),
    ),
    Mutant(
        "lib/denoising/zoo/distillation.py",
        "half, guess(half, middle), middle",
        "half, guess(x, middle), middle",
        ("tests/unit/test_distillation.py",),
    ),  # the second guess at the first state
    Mutant(
        "lib/denoising/zoo/distillation.py",
        "(place - 1) / steps",
        "place / steps - 0.5 / steps",
        ("tests/unit/test_distillation.py",),
    ),  # half of the step
    Mutant(
        "lib/denoising/zoo/distillation.py",
        "torch.maximum(alpha, sigma)",
        "torch.minimum(alpha, sigma)",
        ("tests/unit/test_distillation.py",),
    ),
    Mutant(
        "lib/denoising/zoo/distillation.py", "if net is teacher:", "if False:", ("tests/unit/test_distillation.py",)
    ),
    Mutant(
        "lib/denoising/networks/guided_unet.py",
        "    nn.init.zeros_(layer.weight)\n",
        "",
        ("tests/unit/test_distillation.py",),
    ),  # the start is not the teacher
    Mutant(
        "lib/denoising/networks/guided_unet.py",
        "(2 * W_MAX) * waves",
        "(0.5 * W_MAX) * waves",
        ("tests/unit/test_distillation.py",),
    ),  # both ends look alike
    Mutant(
        "lib/denoising/zoo/recipes.py",
        "state.parent.parent / recipe.start / state.name",
        "state.parent / state.name",
        ("tests/unit/test_distillation.py",),
    ),  # rounds share one state
]
