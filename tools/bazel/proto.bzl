"""C++ code from .proto files by Debian's protoc and grpc_cpp_plugin.

slip_proto(name = "task_queue", srcs = glob(["slipstream/task_queue/v1/*.proto"]), deps = [":api"], grpc = True)

makes `:task_queue` (messages) and `:task_queue_grpc` (stubs), both cc_library, included as
"slipstream/task_queue/v1/task_queue.pb.h". The import root is the package that calls it (//protos).
"""

SlipProtoInfo = provider(
    doc = "The .proto files of a slip_proto and of all it depends on.",
    fields = {"sources": "depset of .proto files, dependencies first"},
)

_PROTOC = "/usr/bin/protoc"
_GRPC_PLUGIN = "/usr/bin/grpc_cpp_plugin"

def _sources(srcs, deps):
    return depset(
        srcs,
        transitive = [dep[SlipProtoInfo].sources for dep in deps],
        order = "postorder",
    )

def _slip_proto_sources_impl(ctx):
    sources = _sources(ctx.files.srcs, ctx.attr.deps)
    return [DefaultInfo(files = depset(ctx.files.srcs)), SlipProtoInfo(sources = sources)]

_slip_proto_sources = rule(
    implementation = _slip_proto_sources_impl,
    attrs = {
        "srcs": attr.label_list(allow_files = [".proto"]),
        "deps": attr.label_list(providers = [SlipProtoInfo]),
    },
)

def _slip_proto_gen_impl(ctx):
    root = ctx.label.package
    sources = ctx.attr.proto[SlipProtoInfo].sources
    headers = []
    code = []
    names = []
    suffix = ".grpc.pb" if ctx.attr.grpc else ".pb"
    for src in ctx.attr.proto[DefaultInfo].files.to_list():
        name = src.short_path[len(root) + 1:]
        names.append(name)
        stem = name[:-len(".proto")] + suffix
        headers.append(ctx.actions.declare_file(stem + ".h"))
        code.append(ctx.actions.declare_file(stem + ".cc"))
    if names:
        out = ctx.bin_dir.path + "/" + root
        args = ctx.actions.args()
        args.add("-I" + root)
        if ctx.attr.grpc:
            args.add("--plugin=protoc-gen-grpc=" + _GRPC_PLUGIN)
            args.add("--grpc_out=" + out)
        else:
            args.add("--cpp_out=" + out)
        args.add_all(names)
        ctx.actions.run(
            executable = _PROTOC,
            arguments = [args],
            inputs = sources,
            outputs = headers + code,
            mnemonic = "SlipProto",
            progress_message = "Generating C++ of %s" % ctx.label,
        )
    return [
        DefaultInfo(files = depset(headers + code)),
        OutputGroupInfo(headers = depset(headers), code = depset(code)),
    ]

_slip_proto_gen = rule(
    implementation = _slip_proto_gen_impl,
    attrs = {
        "proto": attr.label(providers = [SlipProtoInfo]),
        "grpc": attr.bool(),
    },
)

def _cc(name, gen, deps, visibility, alwayslink = False):
    native.filegroup(name = name + "_headers", srcs = [gen], output_group = "headers")
    native.filegroup(name = name + "_code", srcs = [gen], output_group = "code")
    native.cc_library(
        name = name,
        srcs = [name + "_code"],
        hdrs = [name + "_headers"],
        copts = ["-w"],  # generated: its warnings are not ours
        includes = ["."],
        linkstatic = True,
        alwayslink = alwayslink,
        visibility = visibility,
        deps = deps,
    )

def slip_proto(name, srcs, deps = [], grpc = False, visibility = None):
    """Messages (and with grpc = True stubs) of some .proto files.

    Args:
      name: `:name` is the messages' cc_library, `:name_grpc` the stubs', `:name_proto` the sources.
      srcs: .proto files of this package.
      deps: other slip_proto targets whose files are imported.
      grpc: whether there are services.
      visibility: of the libraries.
    """
    _slip_proto_sources(
        name = name + "_proto",
        srcs = srcs,
        deps = [dep + "_proto" for dep in deps],
        visibility = visibility,
    )
    _slip_proto_gen(name = name + "_cc_gen", proto = name + "_proto")

    # Always linked: a file that no code names is still found by reflection and as a method option.
    _cc(name, name + "_cc_gen", deps + ["@system//:protobuf"], visibility, alwayslink = True)
    if grpc:
        _slip_proto_gen(name = name + "_grpc_gen", proto = name + "_proto", grpc = True)
        _cc(name + "_grpc", name + "_grpc_gen", [name, "@system//:grpc"], visibility)

def _slip_descriptor_set_impl(ctx):
    root = ctx.label.package
    sources = _sources([], ctx.attr.deps)
    out = ctx.actions.declare_file(ctx.label.name + ".pb")
    args = ctx.actions.args()
    args.add("-I" + root)
    args.add("--include_imports")
    args.add("--include_source_info")
    args.add("--descriptor_set_out=" + out.path)
    args.add_all([src.short_path[len(root) + 1:] for src in sources.to_list()])
    ctx.actions.run(
        executable = _PROTOC,
        arguments = [args],
        inputs = sources,
        outputs = [out],
        mnemonic = "SlipDescriptorSet",
    )
    return [DefaultInfo(files = depset([out]), runfiles = ctx.runfiles([out]))]

slip_descriptor_set = rule(
    implementation = _slip_descriptor_set_impl,
    attrs = {"deps": attr.label_list(providers = [SlipProtoInfo])},
    doc = "One FileDescriptorSet of the given NAME_proto targets, with imports and comments.",
)
